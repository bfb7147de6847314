import t from "tap";
import { rule, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { isChangeable, recordProblems } from "../../agent/rules/record.ts";
import { nextBody, withBox, withoutBox, withoutClient, type Edit } from "../../agent/rules/record-edits.ts";
import { judgeStep } from "../../agent/rules/record-step.ts";
import { body, filled, keyOf, signRecord } from "./support/site.ts";

const [first, second] = body.boxes as [typeof body.boxes[number], typeof body.boxes[number]];
const [alice, bob] = body.people as [typeof body.people[number], typeof body.people[number]];
const [cli, service] = body.clients as [typeof body.clients[number], typeof body.clients[number]];
const asks = (require: readonly unknown[]): Partial<SiteRecordBody> => ({ rules: [rule.parse({ key: "payroll", operations: ["decrypt"], require })] });

void t.test("every problem of a record is named, and a sound one has none", async (t) => {
  t.strictSame(recordProblems(body), []);
  const cases: readonly (readonly [Partial<SiteRecordBody>, string])[] = [
    [{ boxes: [...body.boxes, { ...second, key: keyOf("stranger") }] }, "id box-2 stands twice"],
    [{ coordinator: { ...body.coordinator, id: "box-1" } }, "id box-1 stands twice"],
    [{ clients: [cli, { ...service, id: "box-2" }] }, "id box-2 stands twice"],
    [{ boxes: [first, { ...second, key: first.key }, ...body.boxes.slice(2)] }, `identity key ${first.key} stands twice`],
    [{ coordinator: { ...body.coordinator, key: first.key } }, `identity key ${first.key} stands twice`],
    [{ clients: [cli, { ...service, key: first.key }] }, `identity key ${first.key} stands twice`],
    [{ people: [alice, bob, { id: "alice", roles: [], fingers: [] }] }, "person alice stands twice"],
    [{ roles: ["officer", "officer"] }, "role officer stands twice"],
    [{ people: [{ ...alice, roles: ["king"] }, bob] }, "person alice has the unknown role king"],
    [{ people: [{ ...alice, fingers: [{ ...alice.fingers[0]!, box: "box-9" }] }, bob] }, "a finger of alice is at the unknown box box-9"],
    [{ people: [{ ...alice, fingers: [alice.fingers[0]!, { ...alice.fingers[0]!, slot: 7 }] }, bob] }, "finger of alice index at box-1 stands twice"],
    [{ people: [alice, { ...bob, fingers: alice.fingers }] }, "sensor slot box-1/0 stands twice"],
    [{ clients: [cli, { ...service, person: "carol" }] }, "client service acts for the unknown person carol"],
    [asks([{ role: "king", people: 1 }]), "rule 1 (payroll) asks for the unknown role king"],
    [asks([{ person: "carol" }]), "rule 1 (payroll) asks for the unknown person carol"],
    [asks([{ role: "officer", people: 16 }, { person: "alice" }]), "rule 1 (payroll) asks for more than 16 people"],
    [{ rules: [rule.parse({ key: "payroll", operations: ["record"], require: [{ person: "alice" }] })] }, "rule 1 (payroll): `record` is asked of key site, and without a limit"],
    [{ rules: [rule.parse({ key: "site", operations: ["record"], require: [{ person: "alice" }], limit: "1/day" })] }, "rule 1 (site): `record` is asked of key site, and without a limit"],
    [{ rules: [rule.parse({ key: "payroll", operations: ["readmit"], require: [{ person: "alice" }] })] }, "rule 1 (payroll): `readmit` is asked of key site, and without a limit"],
    [asks([{ role: "officer", people: 9 }, { role: "officer", people: 8 }]), "rule 1 (payroll) asks for more than 16 people"],
  ];
  for (const [change, problem] of cases) t.strictSame(recordProblems({ ...body, ...change }), [problem], problem);
  t.strictSame(recordProblems({ ...body, ...asks([{ role: "officer", people: 15 }, { person: "alice" }]) }), [], "sixteen are not too many");
  t.equal(recordProblems({ ...body, roles: ["officer", "officer"], people: [alice, alice] }).length, 3, "all problems at once");
});

void t.test("a successor", async (t) => {
  const current = await signRecord({ sealed: false });
  const previous = statementHash(current);
  const next = { version: 6, previous, sealed: false };
  const check = async (change: Partial<SiteRecordBody>, by?: string, signer?: string, from = current) => {
    const made = await signRecord({ ...next, ...change }, by, signer);
    return () => { judgeStep(from, made, () => false); };
  };
  t.doesNotThrow(await check({}));
  t.doesNotThrow(await check({ sealed: true }), "it may be sealed");
  t.throws(await check({}, "coordinator", "stranger"), { code: "RECORD_FORGED" });
  t.throws(await check({}, "box-1"), { code: "RECORD_FORGED" }, "in another name");
  t.throws(await check({ authority: keyOf("stranger") }, "coordinator", "stranger"), { code: "RECORD_FORGED" }, "by a key that only itself names");
  t.throws(await check({ authority: keyOf("stranger") }), { code: "RECORD_FORGED" }, "the authority does not hand itself over");
  t.throws(await check({ version: 5, rules: [] }), { code: "RECORD_FORK" });
  t.throws(() => { judgeStep(current, current, () => false); }, { code: "RECORD_OLD" }, "the same is not newer");
  t.throws(await check({ version: 4 }), { code: "RECORD_OLD" });
  t.throws(await check({ version: 7 }), { code: "RECORD_GAP", retryable: true });
  t.throws(await check({ previous: filled(32, 0) }), { code: "RECORD_GAP" });
  t.throws(await check({ previous: null }), { code: "RECORD_GAP" });
  t.throws(await check({ roles: [] }), { code: "RECORD_INVALID", message: /alice has the unknown role officer/ });
  const sealed = await signRecord();
  for (const change of [{ sealed: true }, { sealed: false }]) t.throws(await check({ ...change, previous: statementHash(sealed) }, undefined, undefined, sealed), { code: "RECORD_SEALED" });
  const elsewhere = { ...current, site: "other" };
  t.throws(await check({ previous: statementHash(elsewhere) }, undefined, undefined, elsewhere), { code: "RECORD_FORGED" }, "of another site");
});

void t.test("a name is of one key for ever: who leaves is named as retired, and nobody comes under that name", async (t) => {
  const current = await signRecord({ sealed: false, retired: ["box-9"] });
  const third = body.boxes[2]!;
  const step = async (edit: Edit) => {
    const next = await signRecord(nextBody(current, edit));
    return () => { judgeStep(current, next, () => false); };
  };
  t.doesNotThrow(await step(withoutBox("box-3")), "with the finger that was there");
  t.strictSame(withoutBox("box-3")(current.body).people.flatMap(({ fingers }) => fingers.map(({ box }) => box)), ["box-1", "box-2"]);
  t.doesNotThrow(await step(withoutClient("service")));
  t.doesNotThrow(await step(withBox({ ...third, id: "box-4", key: keyOf("stranger") })));
  t.strictSame(withBox(third)(current.body), current.body, "one that is in already changes nothing");
  const cases: readonly (readonly [string, Edit])[] = [
    ["box-3 leaves and is not named as retired", (one) => ({ ...withoutBox("box-3")(one), retired: ["box-9"] })],
    ["service leaves and is not named as retired", (one) => ({ ...withoutClient("service")(one), retired: ["box-9"] })],
    ["box-9 is retired no more", (one) => ({ ...one, retired: [] })],
    ["id box-9 stands twice", withBox({ ...third, id: "box-9", key: keyOf("stranger") })],
    ["box-1 gets another key", (one) => ({ ...one, boxes: [{ ...first, key: keyOf("stranger") }, ...one.boxes.slice(1)] })],
    ["service gets another key", (one) => ({ ...one, clients: [cli, { ...service, key: keyOf("stranger") }] })],
  ];
  for (const [problem, edit] of cases) t.throws(await step(edit), { code: "RECORD_INVALID", message: new RegExp(problem) }, problem);
});

void t.test("a box is readmitted by the version that says so, never ahead", async (t) => {
  const current = await signRecord({ sealed: false, boxes: [{ ...first, readmitted: 4 }, ...body.boxes.slice(1)] });
  const after = (readmitted: number | undefined) => signRecord({ sealed: false, version: 6, previous: statementHash(current), boxes: [{ ...first, ...(readmitted === undefined ? {} : { readmitted }) }, ...body.boxes.slice(1)] });
  for (const version of [4, 6]) {
    const next = await after(version);
    t.doesNotThrow(() => { judgeStep(current, next, () => false); }, String(version));
  }
  for (const version of [undefined, 5, 7, 2 ** 30]) {
    const next = await after(version);
    t.throws(() => { judgeStep(current, next, () => false); }, { code: "RECORD_INVALID", message: /box-1 is readmitted by another version/ }, String(version));
  }
});

void t.test("a record is changeable while enough people are enrolled at enough boxes", async (t) => {
  const needs = (require: readonly unknown[], more: object = {}): Partial<SiteRecordBody> => ({ rules: [rule.parse({ key: "site", operations: ["record"], require, ...more })] });
  const two = [{ role: "officer", people: 2 }];
  const at = (person: typeof alice, ...boxes: string[]) => ({ ...person, fingers: boxes.map((box, slot) => ({ ...alice.fingers[0]!, name: `f${slot}`, box, slot: slot + person.id.length })) });
  const cases: readonly (readonly [boolean, string, Partial<SiteRecordBody>])[] = [
    [true, "two officers, two boxes", needs(two)],
    [false, "no rule", {}],
    [false, "a rule for another key", { rules: [{ ...needs(two).rules![0]!, key: "payroll" }] }],
    [false, "a rule for another resource", { rules: [{ ...needs(two).rules![0]!, resource: "payroll/**" }] }],
    [true, "a rule for just this", { rules: [{ ...needs(two).rules![0]!, resource: "record" }] }],
    [false, "three of two", needs([{ role: "officer", people: 3 }])],
    [false, "one has no finger", { ...needs(two), people: [alice, { ...bob, fingers: [] }] }],
    [false, "one has no such role", { ...needs(two), people: [alice, { ...bob, roles: [] }] }],
    [false, "both at one box", { ...needs(two), people: [at(alice, "box-1"), at(bob, "box-1")] }],
    [true, "both at one box, which is enough", { ...needs(two, { distinctBoxes: false }), people: [at(alice, "box-1"), at(bob, "box-1")] }],
    [false, "the named one cannot be two", needs([{ person: "alice" }, { person: "alice" }])],
    [true, "the named one is left to the slot that names her", needs([{ role: "officer", people: 1 }, { person: "alice" }])],
    [false, "no client may ask for it", { ...needs(two), clients: [{ ...cli, admin: false }, service] }],
    [false, "a third is wanted beside the named", needs([{ role: "officer", people: 2 }, { person: "alice" }], { distinctBoxes: false })],
  ];
  for (const [wanted, what, change] of cases) t.equal(isChangeable({ ...body, ...change }), wanted, what);
});
