import t from "tap";
import { SiteKeeper } from "../../agent/coordinator/site-keeper.ts";
import { mostMessageBytes } from "../../agent/protocol/envelope.ts";
import { recordTarget, requestDigest } from "../../agent/protocol/request.ts";
import { recordHashOf, rule, sitePolicy } from "../../agent/protocol/site-record.ts";
import { nextBody, type Edit } from "../../agent/rules/record-edits.ts";
import { walkChain } from "../../agent/rules/record-step.ts";
import { putJson } from "../../agent/store/json.ts";
import { body, filled, keyOf, keys, makeEvidence, makeApprovalFields, signRecord } from "../rules/support/site.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";

async function makeKeeper(change: Partial<typeof body> = {}) {
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  const hsm = { ...memoryHsm(), sign: (_role: string, message: Uint8Array) => Promise.resolve(keys["authority"]!.sign(message)) };
  t.throws(() => new SiteKeeper(store, hsm), { code: "NOT_JOINED" });
  await store.commit([putJson("site-record", await signRecord({ sealed: false, ...change }))]);
  return { keeper: new SiteKeeper(store, hsm), again: () => new SiteKeeper(openMemoryStore(disk), hsm) };
}
const policy = (change: object) => sitePolicy.parse({ roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }, { id: "bob", roles: [] }], clients: [{ id: "cli", admin: false }], rules: body.rules, ...change });

void t.test("a policy changes roles, people, clients' persons and rules; keys, boxes and fingers stay", async (t) => {
  const { keeper, again } = await makeKeeper();
  const versions: number[] = [];
  keeper.onChange((record) => { versions.push(record.body.version); });
  const { body: next } = await keeper.apply(policy({}));
  t.strictSame(next.people, [body.people[0], { ...body.people[1], roles: [] }]);
  t.strictSame(next.clients, [{ id: "cli", key: keyOf("cli"), admin: false }, body.clients[1]], "a client that the file does not name stays");
  t.strictSame(next.boxes, body.boxes);
  t.equal(next.noZoneHoldsThreshold, false);
  await t.rejects(keeper.apply(policy({ roles: [] })), { code: "RECORD_INVALID" });
  t.equal(keeper.current.body.version, 6, "what boxes would refuse changes nothing");
  const [one, two] = await Promise.all([keeper.apply(policy({ noZoneHoldsThreshold: true })), keeper.apply(policy({}))]);
  t.strictSame([one.body.noZoneHoldsThreshold, two.body.noZoneHoldsThreshold], [true, false], "the file says it, or it is not so");
  t.strictSame([one.body.version, two.body.version], [7, 8], "one change at a time");
  t.strictSame(versions, [6, 7, 8]);
  t.strictSame(again().after(5).map((record) => record.body.version), [6, 7, 8], "and the chain is kept");
  t.strictSame(again().after(8), []);
});

void t.test("people", async (t) => {
  const { keeper } = await makeKeeper();
  const finger = { name: "index", box: "box-1", slot: 5, template: filled(32, 20) };
  const { body: replaced } = await keeper.addFinger("alice", undefined, finger);
  t.strictSame(replaced.people[0], { id: "alice", roles: ["officer"], fingers: [finger] }, "the same finger at the same box is replaced");
  const { body: more } = await keeper.addFinger("carol", ["auditor"], { ...finger, slot: 6 });
  t.strictSame([more.roles, more.people.length], [["officer", "auditor"], 3]);
  await t.rejects(keeper.addFinger("dave", [], { ...finger, box: "box-9" }), { code: "RECORD_INVALID" });
  await t.rejects(keeper.removePerson("mallory"), { code: "UNKNOWN_PERSON" });
  await t.rejects(keeper.removePerson("alice"), { code: "RECORD_INVALID" }, "a client acts for her");
  t.notOk((await keeper.removePerson("carol")).body.people.some(({ id }) => id === "carol"));
});

void t.test("a seal needs boxes and rules, and is the last change", async (t) => {
  for (const change of [{ boxes: [], people: [], clients: [], rules: [] }, { rules: [] }, { boxes: [], people: [], clients: [], rules: body.rules.slice(0, 1), roles: ["officer"] }]) {
    const { keeper } = await makeKeeper(change);
    await t.rejects(keeper.seal(), { code: "NOT_READY" });
  }
  const { keeper } = await makeKeeper();
  t.ok((await keeper.seal()).body.sealed);
  for (const change of [keeper.seal(), keeper.apply(policy({})), keeper.removePerson("bob"), keeper.addFinger("bob", [], body.people[0]!.fingers[0]!)]) await t.rejects(change, { code: "RECORD_SEALED" });
  t.strictSame([keeper.kindOf("coordinator"), keeper.kindOf("box-1"), keeper.kindOf("cli"), keeper.kindOf("nobody")], ["coordinator", "box", "client", undefined]);
  t.strictSame([keeper.keyOf("coordinator"), keeper.keyOf("box-1"), keeper.keyOf("cli"), keeper.keyOf("nobody")], [keyOf("coordinator"), keyOf("box-1"), keyOf("cli"), undefined]);
});

void t.test("a sealed record adopts what its people approved, one successor and no second", async (t) => {
  const changing = rule.parse({ key: "site", operations: ["record"], require: [{ person: "bob" }] });
  const { keeper, again } = await makeKeeper({ sealed: true, rules: [changing] });
  const first = keeper.current;
  const approved = async (edit: Edit) => {
    const next = nextBody(keeper.current, edit);
    const commitment = recordHashOf(keeper.current, next);
    const fields = await makeApprovalFields({ siteRecord: keeper.ref, record: commitment }, { ...recordTarget, operation: "record", commitment });
    return { next, approval: { fields, evidence: [await makeEvidence(requestDigest(fields), { person: "bob", template: filled(32, 12) }, "box-2")] } };
  };
  const one = await approved((record) => ({ ...record, roles: ["officer", "one"] }));
  const other = await approved((record) => ({ ...record, roles: ["officer", "other"] }));
  await t.rejects(keeper.adopt(one.next, { ...one.approval, evidence: [] }, () => false), { code: "NOT_PERMITTED" });
  await t.rejects(keeper.adopt(one.next, one.approval, (box) => box === "box-2"), { code: "QUARANTINED" });
  await t.rejects(keeper.adopt(one.next, other.approval, () => false), { code: "RECORD_NOT_APPROVED" });
  const horizons: number[] = [];
  const asked = [keeper.adopt(one.next, one.approval, () => { horizons.push(keeper.horizon); return false; }), keeper.adopt(other.next, other.approval, () => false)] as const;
  await t.rejects(asked[1], { code: "WRONG_SITE_RECORD", retryable: true });
  const second = await asked[0];
  t.strictSame([horizons, keeper.horizon, keeper.current.body.roles], [[5], 6, ["officer", "one"]]);
  t.equal(walkChain(first, again().after(5), () => false).sig, second.sig, "durable with its approval");
});

void t.test("while a version is being made durable, what is found out counts as found out under it", async (t) => {
  const { keeper } = await makeKeeper();
  const made = keeper.apply(policy({}));
  const seen = new Set<number>();
  let ended = false;
  made.then(() => { ended = true; }, () => { ended = true; });
  const look = async (): Promise<void> => {
    if (ended) return;
    if (keeper.current.body.version === 5) seen.add(keeper.horizon);
    await Promise.resolve();
    await look();
  };
  await look();
  t.strictSame([...seen], [5, 6]);
  await made;
});

void t.test("of a long chain comes as much as one message takes", async (t) => {
  const { keeper } = await makeKeeper();
  const many = Array.from({ length: 900 }, (_, i) => ({ id: `role-${String(i).padStart(20, "0")}`, roles: ["officer"] }));
  await Promise.all(Array.from({ length: 6 }, () => keeper.apply(policy({ people: [...many, ...policy({}).people] }))));
  const chain = keeper.after(5);
  t.ok(chain.length >= 1 && chain.length < 6, String(chain.length));
  t.ok(JSON.stringify(chain).length < mostMessageBytes);
  t.strictSame(chain.map(({ body: { version } }) => version), Array.from(chain, (_, i) => 6 + i), "the oldest first");
});
