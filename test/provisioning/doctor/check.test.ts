import t from "tap";
import { ShardkeepError } from "../../../agent/runtime/errors.ts";
import { systemClock } from "../../../agent/runtime/clock.ts";
import { Concern, examine, findingLines, isHealthy, saidError, Skipped, type Check } from "../../../provisioning/doctor/check.ts";

const throwing = (name: string, error: unknown): Check => ({ name, run: () => { throw error; } });

void t.test("every check ends in a finding, in order, and none holds up the others", async (t) => {
  let gaveUp = false;
  const findings = await examine([
    { name: "good", run: () => "as it should be" },
    throwing("warned", new Concern("CLOCK_UNSET", "1970", { remedy: "set it" })),
    throwing("broken", new ShardkeepError("TOKEN_MISSING", "no token", { remedy: "plug it in" })),
    throwing("left out", new Skipped("the agent has it")),
    throwing("unexpected", new TypeError("x is not a function")),
    { name: "hanging", deadlineMs: 20, run: (signal) => new Promise(() => { signal.addEventListener("abort", () => { gaveUp = true; }); }) },
  ], systemClock);
  t.same(findings.map(({ check, state, code }) => [check, state, code]), [
    ["good", "ok", undefined], ["warned", "warn", "CLOCK_UNSET"], ["broken", "failed", "TOKEN_MISSING"], ["left out", "skipped", undefined],
    ["unexpected", "failed", "INTERNAL"], ["hanging", "failed", "CHECK_TIMEOUT"],
  ]);
  t.match(findings[2], { detail: "no token", remedy: "plug it in" });
  t.ok(gaveUp, "a check that nobody waits for is told so");
  t.notOk(isHealthy(findings));
  t.ok(isHealthy(findings.filter(({ state }) => state !== "failed")), "a warning fails nothing");
  t.match(findingLines(findings).join("\n"), /^ok +good +as it should be\nwarn +warned +CLOCK_UNSET: 1970\n +next: set it\n/);
});

void t.test("an error that came as text", (t) => {
  t.match(saidError("BROKER_REFUSED: no\n  next: ask", "X", "y"), { code: "BROKER_REFUSED", message: "no", remedy: "ask" });
  t.match(saidError("BROKER_REFUSED: no", "X", "y"), { code: "BROKER_REFUSED", message: "no", remedy: "y" });
  t.match(saidError("what?", "X", "y"), { code: "X", message: "what?", remedy: "y" });
  t.end();
});
