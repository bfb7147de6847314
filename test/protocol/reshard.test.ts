import t from "tap";
import type { z } from "zod";
import {
  batchActivated, batchBurn, batchDestroyed, batchHash, batchPrepared, batchResolved, burial, mostBatchKeys, participantsOf, pieceHash, planKey, provedUse, reshardCheck, reshardDeal, reshardedRecord,
  reshardPieceContext, reshardPlan, resolution, settlement,
} from "../../agent/protocol/reshard.ts";
import { boxRequests, clientRequests, keyStatus } from "../../agent/protocol/messages.ts";
import { recoverParameters, reshardParameters } from "../../agent/protocol/request.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { filled, joinsOf, makeActivated, makeBurn, makeCheck, makeCurrent, makeDeal, makePlan, makePrepared, makeResolved, makeSealed, members, refresh } from "../rules/reshard/support.ts";
import { makeEvidence, makeFields } from "../rules/support/site.ts";

const enc = toBase64url(new Uint8Array(65).fill(4));
const plan = await makePlan();
const planHash = statementHash(plan);
const batch = filled(32, 2);
const joins = await joinsOf(plan);
const deal = await makeDeal(plan, "box-1");
const checkBody = { transcript: filled(32, 1), holder: { values: [filled(16, 1), filled(16, 2), filled(16, 3)], digests: [filled(32, 4)] }, witness: filled(16, 5) };
const check = await makeCheck("box-1", checkBody);
const [prepared, activated, burn] = [[await makePrepared(plan, batch, "box-1"), await makePrepared(plan, batch, "box-2")], [await makeActivated(plan, batch, "box-1"), await makeActivated(plan, batch, "box-2")], [await makeBurn(plan, "box-1"), await makeBurn(plan, "box-2")]];
const destroyed = { type: "batch-destroyed", site: "demo", by: "box-1", body: { plan: planHash, of: "old", hsm: "software" }, sig: filled(64, 1) };
const gone = ["box-5"];
const answers = [await makeResolved(plan, "box-1", { gone }), await makeResolved(plan, "box-2", { gone })];
const fields = await makeFields({}, {}, "service");
const proof = { fields, evidence: [await makeEvidence(filled(32, 1))], result: filled(32, 72), sig: filled(64, 1) };
const piece = { enc, ct: filled(64, 1) };

void t.test("names, byte for byte", (t) => {
  t.equal(batchHash("demo", filled(32, 1), [filled(32, 2), filled(32, 3)]), "WNhdehL1yST6hNGhHfdnwLEPPlc9SyFIjp5bxGI4yxg");
  t.not(batchHash("demo", filled(32, 1), [filled(32, 3), filled(32, 2)]), batchHash("demo", filled(32, 1), [filled(32, 2), filled(32, 3)]), "in the plan's order");
  t.equal(pieceHash("demo", { enc, ct: filled(64, 1) }), "h1FQagBk_0mfAC0hUVQ46s0-k8UHoVpIIhNYcPjHui0");
  t.not(pieceHash("demo", { enc, ct: filled(65, 1) }), pieceHash("demo", { enc, ct: filled(64, 1) }));
  t.equal(Buffer.from(reshardPieceContext("demo", filled(32, 1), "box-1", "box-2", "holder")).toString("latin1"), [
    "s\0\0\0\x1ashardkeep/v1/reshard-piece", "s\0\0\0\x04demo", "o\0\0\0\x04", "s\0\0\0\x06dealer", "s\0\0\0\x05box-1", "s\0\0\0\x04plan", `s\0\0\0+${filled(32, 1)}`,
    "s\0\0\0\x09recipient", "s\0\0\0\x05box-2", "s\0\0\0\x04role", "s\0\0\0\x06holder",
  ].join(""));
  const contexts = [["box-1", "box-2", "holder"], ["box-1", "box-2", "witness"], ["box-2", "box-1", "holder"]] as const;
  t.equal(new Set(contexts.map(([dealer, to, role]) => toBase64url(reshardPieceContext("demo", filled(32, 1), dealer, to, role)))).size, 3);
  t.strictSame(participantsOf({ ...plan, body: { ...refresh, witnesses: members(3, 1), holders: members(2, 3) } }), ["box-1", "box-2", "box-3"]);
  t.end();
});

/** Every object of the value, with a field that its schema does not know. */
function* strangers(value: unknown): Generator {
  if (Array.isArray(value)) for (const [i, one] of value.entries()) for (const changed of strangers(one)) yield value.with(i, changed);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  yield { ...value, stranger: 1 };
  for (const [name, one] of Object.entries(value)) for (const changed of strangers(one)) yield { ...value, [name]: changed };
}
/** Every field of the value left out, one at a time. */
function* lacking(value: unknown): Generator {
  if (Array.isArray(value)) for (const [i, one] of value.entries()) for (const changed of lacking(one)) yield value.with(i, changed);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  for (const [name, one] of Object.entries(value)) {
    yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
    for (const changed of lacking(one)) yield { ...value, [name]: changed };
  }
}

void t.test("every statement and message is taken as it is, and not with a field more or less", (t) => {
  const requests = Object.fromEntries(Object.entries(boxRequests).filter(([name]) => name.startsWith("reshard-")));
  const approved = Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "enclave"));
  const samples: Readonly<Record<string, readonly [z.ZodType, unknown]>> = {
    plan: [reshardPlan, plan], planKey: [planKey, refresh.keys[0]], deal: [reshardDeal, deal], check: [reshardCheck, check],
    prepared: [batchPrepared, prepared[0]], activated: [batchActivated, activated[0]], burn: [batchBurn, burn[0]], destroyed: [batchDestroyed, destroyed],
    settlement: [settlement, { plan, batch, activated }], burial: [burial, { plan, burns: burn }], "burial by answers": [burial, { plan, resolution: { gone, answers } }], resolved: [batchResolved, answers[0]], resolution: [resolution, { gone, answers }],
    record: [reshardedRecord, { record: makeCurrent(), plan, records: [batch], prepared }],
    "reshard-join": [requests["reshard-join"]!.request, { plan, approval: null }], "reshard-join answer": [requests["reshard-join"]!.response, { join: joins[0] }],
    "reshard-deal": [requests["reshard-deal"]!.request, { plan: planHash, joins }], "reshard-deal answer": [requests["reshard-deal"]!.response, { deal, pieces: [piece] }],
    "reshard-seal": [requests["reshard-seal"]!.request, { plan: planHash, joins, deals: [deal], pieces: [{ holder: piece, witness: null }] }],
    "reshard-check": [requests["reshard-check"]!.request, { plan: planHash, sealed: [] }], "reshard-check answer": [requests["reshard-check"]!.response, { check }],
    "reshard-prepare": [requests["reshard-prepare"]!.request, { plan: planHash, checks: [check] }], "reshard-prepare answer": [requests["reshard-prepare"]!.response, { prepared: prepared[0] }],
    "reshard-activate": [requests["reshard-activate"]!.request, { plan: planHash, prepared, proof }], proof: [provedUse, proof], "reshard-activate answer": [requests["reshard-activate"]!.response, { activated: activated[0] }],
    "reshard-settle": [requests["reshard-settle"]!.request, { plan, batch, activated }], "reshard-settle answer": [requests["reshard-settle"]!.response, { destroyed }],
    "reshard-burn": [requests["reshard-burn"]!.request, { plan }], "reshard-burn answer": [requests["reshard-burn"]!.response, { burn: burn[0] }],
    "reshard-reveal": [requests["reshard-reveal"]!.request, { plan: planHash, check }], "reshard-reveal answer": [requests["reshard-reveal"]!.response, { ephemeral: "A".repeat(43) }],
    "reshard-resolve": [requests["reshard-resolve"]!.request, { plan, approval: { fields: approved, evidence: proof.evidence } }], "reshard-resolve answer": [requests["reshard-resolve"]!.response, { resolved: answers[0], activated }],
    "reshard-bury": [requests["reshard-bury"]!.request, { plan, burns: burn }], "reshard-bury answer": [requests["reshard-bury"]!.response, { destroyed }],
    "operation-over": [boxRequests["operation-over"].request, { digest: batch }],
    "key-reshard": [clientRequests["key-reshard"].request, { key: "payroll" }], "key-reshard answer": [clientRequests["key-reshard"].response, { record: makeCurrent() }],
    "key status": [keyStatus, {
      key: "payroll", kind: "aes-256", epoch: 2, threshold: 3, holders: ["box-1"], live: 1, record: batch, imported: false, size: 5, reshard: "planned", held: null,
      exposures: [{ epoch: 1, attempt: 2, threshold: 3, open: ["box-1"], software: 1, hardware: 1 }],
    }],
  };
  for (const name of Object.keys(requests)) t.ok(samples[name], `${name} has a sample`);
  for (const [name, [schema, value]] of Object.entries(samples)) {
    t.strictSame(schema.parse(value), value, name);
    const bad = [...strangers(value), ...lacking(value)].filter((one) => schema.safeParse(one).success);
    t.strictSame(bad, [], `${name}: unknown or missing fields`);
  }
  const nulls: readonly (readonly [string, unknown])[] = [["reshard-settle answer", { destroyed: null }], ["reshard-bury answer", { destroyed: null }], ["reshard-activate", { plan: planHash, prepared, proof: null }]];
  t.strictSame(settlement.parse({ plan, batch, activated, resolution: { gone, answers } }), { plan, batch, activated, resolution: { gone, answers } });
  t.notOk(burial.safeParse({ plan, burns: burn, resolution: { gone, answers } }).success, "one or the other");
  for (const bad of [[], ["box-1", "box-1"], ["A B"]]) t.notOk(recoverParameters.safeParse({ gone: bad }).success, JSON.stringify(bad));
  for (const [name, value] of nulls) t.ok(samples[name]![0].safeParse(value).success, `${name}: not yet`);
  t.end();
});

void t.test("an approval: the request without an enclave, and its evidence; parameters, each or none", async (t) => {
  const { enclave, ...fields } = await makeFields({}, { operation: "reshard", reshard: { threshold: 2, size: 4, margin: 1, holders: ["box-1", "box-2", "box-3"] } });
  const join = boxRequests["reshard-join"].request;
  const value = { plan, approval: { fields, evidence: [await makeEvidence(batch)] } };
  t.strictSame(join.parse(value), value);
  t.strictSame([...strangers(value.approval)].filter((approval) => join.safeParse({ plan, approval }).success), [], "unknown fields");
  t.notOk(join.safeParse({ plan, approval: { ...value.approval, fields: { ...fields, enclave } } }).success, "nothing is combined");
  for (const one of [{ ...fields, enclave }, fields]) t.ok(boxRequests.prompt.request.safeParse({ fields: one }).success, "people are asked for both");
  t.notOk(boxRequests.challenge.request.safeParse({ fields, evidence: [], nonce: filled(16, 1) }).success, "no shard without an enclave");
  t.strictSame(reshardParameters.parse({}), {});
  for (const bad of [{ threshold: 1 }, { threshold: 256 }, { size: 2 }, { margin: -1 }, { margin: 9 }, { holders: ["box-1", "box-2"] }, { holders: ["box-1", "box-2", "box-2"] }, { holders: ["A B", "b", "c"] }, { stranger: 1 }]) {
    t.notOk(reshardParameters.safeParse(bad).success, JSON.stringify(bad));
  }
  const answer = clientRequests.use.response;
  t.ok(answer.safeParse({ digest: batch, record: makeCurrent() }).success);
  t.strictSame([...strangers({ digest: batch, record: makeCurrent() }), ...lacking({ digest: batch, record: makeCurrent() })].filter((one) => answer.safeParse(one).success), []);
});

void t.test("bounds", (t) => {
  const refused = (schema: z.ZodType, value: unknown, what: string): void => { t.notOk(schema.safeParse(value).success, what); };
  const withBody = (change: object): unknown => ({ ...plan, body: { ...plan.body, ...change } });
  const [key] = refresh.keys as [typeof refresh.keys[number]];
  refused(reshardPlan, withBody({ keys: [] }), "no key");
  refused(reshardPlan, withBody({ keys: Array.from({ length: mostBatchKeys + 1 }, () => key) }), "too many keys");
  t.ok(reshardPlan.safeParse(withBody({ keys: Array.from({ length: mostBatchKeys }, () => key) })).success);
  refused(reshardPlan, withBody({ threshold: 1 }), "a threshold of 1");
  refused(reshardPlan, withBody({ nextThreshold: 1 }), "a threshold of 1");
  refused(reshardPlan, withBody({ margin: -1 }), "a margin below 0");
  refused(reshardPlan, withBody({ margin: 9 }), "a margin above 8");
  refused(reshardPlan, withBody({ reason: "whim" }), "no such reason");
  refused(reshardPlan, withBody({ kind: "p256" }), "another kind of key");
  refused(reshardPlan, withBody({ holders: [{ box: "box-1", x: 0 }, { box: "box-2", x: 1 }] }), "x = 0 would choose the key");
  refused(reshardPlan, withBody({ holders: [{ box: "box-1", x: 256 }, { box: "box-2", x: 1 }] }), "x above 255");
  for (const change of [{ epoch: 0 }, { attempt: 0 }, { previous: filled(31, 0) }, { check: filled(33, 0) }, { previous: null }]) refused(planKey, { ...key, ...change }, JSON.stringify(change));
  const checked = (change: object): unknown => ({ ...check, body: { ...checkBody, ...change } });
  refused(reshardCheck, checked({ witness: filled(15, 0) }), "15 bytes");
  refused(reshardCheck, checked({ holder: { ...checkBody.holder, values: [filled(16, 0)] } }), "one value");
  refused(reshardCheck, checked({ holder: { ...checkBody.holder, digests: [] } }), "no digest");
  refused(provedUse, { ...proof, evidence: [] }, "nobody attested it");
  refused(settlement, { plan, batch, activated: activated.slice(1) }, "one is no certificate");
  refused(burial, { plan, burns: burn.slice(1) }, "one is no certificate");
  refused(batchDestroyed, { ...destroyed, body: { ...destroyed.body, of: "current" } }, "what is current is not destroyed");
  refused(batchDestroyed, { ...destroyed, body: { ...destroyed.body, hsm: "paper" } }, "no such HSM");
  const seal = boxRequests["reshard-seal"].request;
  refused(seal, { plan: planHash, joins, deals: [deal], pieces: [{ holder: { enc, ct: filled(32 * mostBatchKeys + 33, 0) }, witness: null }] }, "a piece longer than a full batch");
  t.ok(seal.safeParse({ plan: planHash, joins, deals: [deal], pieces: [{ holder: { enc, ct: filled(32 * mostBatchKeys + 32, 0) }, witness: null }] }).success);
  t.end();
});

void t.test("a statement of one kind is none of another", async (t) => {
  const statements: readonly (readonly [string, z.ZodType, { type: string }])[] = [
    ["plan", reshardPlan, plan], ["deal", reshardDeal, deal], ["check", reshardCheck, check], ["prepared", batchPrepared, prepared[0]!], ["activated", batchActivated, activated[0]!], ["burn", batchBurn, burn[0]!],
    ["sealed", boxRequests["reshard-seal"].response.shape.sealed, await makeSealed(batch, "box-1")],
  ];
  for (const [one, schema] of statements) for (const [other, , value] of statements) t.equal(schema.safeParse(value).success, one === other, `${one} ${other}`);
});
