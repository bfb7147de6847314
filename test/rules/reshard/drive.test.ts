import t from "tap";
import { driveTable, isDecided, stepDrive, type DriveEvent, type Message, type Phase } from "../../../agent/rules/reshard/drive.ts";

const phases: readonly Phase[] = ["planned", "unproven", "certified", "settled", "burning", "resolving", "burnt"];
const events: readonly DriveEvent[] = ["prepared-by-all", "prepared-unproven", "proved", "failed", "activated-enough", "burnt-enough", "recovered", "answered-old", "answered-settled"];

void t.test("the whole table, row by row: a change of it is a change here", (t) => {
  t.strictSame(driveTable, {
    planned: { shows: null, on: { "prepared-by-all": "certified", "prepared-unproven": "unproven", "failed": "burning" } },
    unproven: { shows: null, on: { "proved": "certified", "failed": "burning" } },
    certified: { shows: "activate", on: { "activated-enough": "settled", "recovered": "resolving" } },
    settled: { shows: "settle", on: {} },
    burning: { shows: "burn", on: { "burnt-enough": "burnt", "recovered": "resolving" } },
    resolving: { shows: "resolve", on: { "answered-old": "burnt", "answered-settled": "settled" } },
    burnt: { shows: "bury", on: {} },
  });
  t.strictSame(phases.filter(isDecided), ["settled", "burnt"]);
  for (const phase of phases) for (const event of events) t.equal(stepDrive(phase, event), driveTable[phase].on[event] ?? null, `${phase} ${event}`);
  t.end();
});

void t.test("on no way are P and an order to burn both shown, nor both certificates", (t) => {
  let ways = 0;
  const walk = (phase: Phase, shown: readonly Message[]): void => {
    const now = [...shown, driveTable[phase].shows];
    t.notOk(now.includes("activate") && now.includes("burn"), now.join(" "));
    t.notOk(now.includes("settle") && now.includes("bury"), now.join(" "));
    const next = events.flatMap((event) => stepDrive(phase, event) ?? []);
    if (next.length === 0) {
      ways += 1;
      t.ok(isDecided(phase), `${phase} is an end`);
    }
    for (const to of next) walk(to, now);
  };
  walk("planned", []);
  t.equal(ways, 12, "forward or back, each by its certificate or by people, and all that also from where an operation must prove it");
  t.end();
});
