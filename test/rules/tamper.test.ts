import t from "tap";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { lidOf, servedWhileLocked, tamperStep, type Lid, type TamperLock } from "../../agent/rules/tamper.ts";
import { body } from "./support/site.ts";

const facts = { open: false, latched: false, damaged: false, counter: 7, unwatched: null };
const shut: Lid = { open: false, cause: null, counter: 7, marked: false };
const opened: Lid = { ...shut, cause: "opened", marked: true };
const lock: TamperLock = { counter: 7, cause: "opened", since: 5, acknowledged: 6 };
const readmitted = (version: number) => ({ ...body, boxes: body.boxes.map((box) => (box.id === "box-1" ? { ...box, readmitted: version } : box)) });

void t.test("what a panel says of its lid, and what counts as an opened case", async (t) => {
  t.strictSame(lidOf(facts, "lock"), shut);
  t.strictSame(lidOf({ ...facts, latched: true }, "report"), opened);
  t.strictSame(lidOf({ ...facts, open: true }, "report"), { open: true, cause: "opened", counter: 7, marked: false }, "a board without a latch");
  t.strictSame(lidOf({ ...facts, damaged: true }, "report"), { ...opened, cause: "damaged" });
  const unwatched = { ...facts, unwatched: { from: 0, to: 1 } };
  t.strictSame([lidOf(unwatched, "report"), lidOf(unwatched, "lock")], [{ ...shut, marked: true }, { ...opened, cause: "unwatched" }], "policy decides");
});

void t.test("an opened case locks; every opening is a lock of its own", async (t) => {
  t.equal(tamperStep(undefined, shut, "box-1", body), "none");
  t.equal(tamperStep(undefined, opened, "box-1", body), "lock");
  t.equal(tamperStep(lock, opened, "box-1", body), "none");
  t.equal(tamperStep(lock, { ...opened, counter: 9 }, "box-1", body), "lock");
  t.equal(tamperStep(lock, { ...opened, counter: 9 }, "box-1", readmitted(7)), "lock", "also after a readmission: who approved that did not know of it");
});

void t.test("while the record is unsealed the case may be open, and what was latched is forgotten", async (t) => {
  const unsealed = { ...body, sealed: false };
  t.equal(tamperStep(undefined, { ...opened, open: true }, "box-1", unsealed), "none");
  t.equal(tamperStep(undefined, opened, "box-1", unsealed), "clear");
  t.equal(tamperStep(undefined, shut, "box-1", unsealed), "none");
});

void t.test("only a readmission after the coordinator's note lifts it, and the panel must have forgotten", async (t) => {
  const step = (one: TamperLock, lid: Lid | "absent" | "none", version: number, box = "box-1") => tamperStep(one, lid, box, readmitted(version));
  t.equal(step(lock, opened, 7), "clear");
  t.equal(step(lock, shut, 7), "lift");
  t.equal(step(lock, opened, 6), "none", "approved before anybody knew of it");
  t.equal(step(lock, shut, 6), "none");
  t.equal(step({ ...lock, acknowledged: null }, shut, 7), "none", "nobody has been told yet");
  t.equal(step(lock, shut, 7, "box-2"), "none", "another box's");
  t.equal(step(lock, { ...shut, open: true, cause: "opened" }, 7), "none", "it is open");
  t.equal(step(lock, "absent", 7), "none", "its panel says nothing");
  t.equal(step(lock, "none", 7), "lift", "and is to have none any more");
  t.equal(tamperStep(undefined, shut, "box-1", readmitted(7)), "none");
});

void t.test("what a locked box still answers", async (t) => {
  t.strictSame(Object.keys(boxRequests).filter((name) => !servedWhileLocked.has(name)).sort(), [
    "birth-check", "birth-deal", "birth-join", "birth-prepare", "challenge", "enrol", "prompt", "release",
    "reshard-check", "reshard-deal", "reshard-join", "reshard-prepare", "reshard-reveal", "reshard-seal", "unenrol",
  ]);
  t.ok([...servedWhileLocked].every((name) => name in boxRequests));
});
