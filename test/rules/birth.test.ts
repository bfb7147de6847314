import t from "tap";
import { keyRecordHash, transcriptHash, type Check, type Deal, type Join, type Plan, type Prepared } from "../../agent/protocol/key-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";
import { isCertified, judgeChecks, judgeDeal, judgePlan, judgePlanOfRequest, judgeSealed, recordOfBirth } from "../../agent/rules/birth.ts";
import { evaluate } from "../support/polynomials.ts";
import { body, create, filled, keyOf, keys, makeFields, record, signRecord, useBody } from "./support/site.ts";

const boxes = ["box-1", "box-2", "box-3"];
const holders = boxes.map((box, i) => ({ box, x: i + 1 }));
const planBody: Plan["body"] = { request: useBody.request, key: "payroll", kind: "aes-256", epoch: 1, attempt: 1, threshold: 2, holders, previous: null };
const makePlan = (change: Partial<Plan["body"]> = {}, by = "coordinator", signer = by): Promise<Plan> => signStatement(keys[signer]!, "plan", "demo", by, { ...planBody, ...change });
const plan = await makePlan();
const planHash = statementHash(plan);
const makeJoin = (by: string, change: Partial<Join["body"]> = {}, signer = by): Promise<Join> => signStatement(keys[signer]!, "join", "demo", by, { plan: planHash, key: keyOf("stranger"), ...change });
const joins = await Promise.all(boxes.map((box) => makeJoin(box)));
const [join1, join2, join3] = joins as [Join, Join, Join];
const dealBody: Deal["body"] = {
  plan: planHash, check: filled(32, 1), imported: null,
  pieces: boxes.map((box) => ({ box, piece: { enc: keyOf("stranger"), ct: "" } })), digests: holders.map((holder) => ({ ...holder, digest: filled(32, holder.x) })),
};
const makeDeal = (change: Partial<Deal["body"]> = {}, by = "enclave", signer = "enclave"): Promise<Deal> => signStatement(keys[signer]!, "deal", "demo", by, { ...dealBody, ...change });
const deal = await makeDeal();
const transcript = transcriptHash("demo", planHash, joins.map(statementHash), [statementHash(deal)]);
const swapped = <T>([one, two, ...rest]: readonly T[]): T[] => [two!, one!, ...rest];

void t.test("PLAN", async (t) => {
  t.doesNotThrow(() => { judgePlan(plan, record); });
  const refused = async (message: RegExp, ...args: Parameters<typeof makePlan>): Promise<void> => {
    const made = await makePlan(...args);
    t.throws(() => { judgePlan(made, record); }, { code: "PLAN_REFUSED", message }, JSON.stringify(args));
  };
  await refused(/not signed by the coordinator/, {}, "coordinator", "box-1");
  await refused(/not signed by the coordinator/, {}, "box-1", "coordinator");
  await refused(/not signed by the coordinator/, {}, "box-1");
  await refused(/epoch 1/, { epoch: 2 });
  await refused(/follows nothing/, { previous: filled(32, 0) });
  await refused(/4 of 3 cannot be met/, { threshold: 4 });
  await refused(/stands twice/, { holders: [...holders, { box: "box-1", x: 4 }] });
  await refused(/stands twice/, { holders: holders.map(({ box }) => ({ box, x: 1 })) });
  await refused(/stranger is no box/, { holders: [...holders, { box: "stranger", x: 4 }] });
  await refused(/cli is no box/, { holders: [...holders, { box: "cli", x: 4 }] });
  const all = await makePlan({ threshold: 3 });
  t.doesNotThrow(() => { judgePlan(all, record); }, "all of all can be met");
});

void t.test("no zone holds the threshold where the site record says so", async (t) => {
  const zoned = (zones: readonly string[], limited = true) => signRecord({ noZoneHoldsThreshold: limited, boxes: body.boxes.map((box, i) => ({ ...box, zone: zones[i]! })) });
  const judged = async (...args: Parameters<typeof zoned>): Promise<() => void> => {
    const one = await zoned(...args);
    return () => { judgePlan(plan, one); };
  };
  t.throws(await judged(["a", "b", "b"]), { code: "PLAN_REFUSED", message: /zone b would hold 2 shards/ }, "2 of 3");
  t.throws(await judged(["a", "a", "a"]), { code: "PLAN_REFUSED", message: /zone a/ });
  t.doesNotThrow(await judged(["a", "b", "c"]));
  t.doesNotThrow(await judged(["a", "a", "a"], false));
});

void t.test("PLAN is the one that the signed request names", async (t) => {
  const fields = { record: planHash, epoch: 1, attempt: 1 };
  const made = await makeFields(fields, { operation: "create", create });
  t.doesNotThrow(() => { judgePlanOfRequest(plan, made); });
  const others: readonly (readonly [Parameters<typeof makeFields>[0], Parameters<typeof makeFields>[1]])[] = [
    [{ ...fields, record: filled(32, 0) }, {}], [{ ...fields, epoch: 2 }, {}], [{ ...fields, attempt: 2 }, {}],
    [fields, { request: filled(16, 0) }], [fields, { key: "other" }], [fields, { create: { ...create, threshold: 3 } }],
    [fields, { create: { ...create, holders: boxes.slice(0, 2) } }], [fields, { create: { ...create, holders: [...boxes, "box-4"] } }],
    [fields, { create: { ...create, holders: swapped(boxes) } }], [fields, { create: { ...create, holders: ["box-1", "box-2", "box-4"] } }],
  ];
  for (const [change, use] of others) {
    const other = await makeFields(change, { operation: "create", create, ...use });
    t.throws(() => { judgePlanOfRequest(plan, other); }, { code: "PLAN_REFUSED", message: /not the one/ }, JSON.stringify([change, use]));
  }
  const none = await makeFields(fields);
  t.throws(() => { judgePlanOfRequest(plan, none); }, { code: "PLAN_REFUSED", message: /makes no key/ });
});

void t.test("DEAL and its JOINs make one transcript", async (t) => {
  t.equal(judgeDeal(plan, joins, deal, keyOf("enclave"), record), transcript);
  const refused = (message: RegExp, made: Deal, from: readonly Join[] = joins): void => {
    t.throws(() => judgeDeal(plan, from, made, keyOf("enclave"), record), { code: "DEAL_REFUSED", message });
  };
  for (const some of [[], [join1, join2], [...joins, join3], swapped(joins), [join1, join2, join2]]) refused(/JOIN of every holder/, deal, some);
  refused(/JOIN of box-1/, deal, [await makeJoin("box-1", { plan: filled(32, 0) }), join2, join3]);
  refused(/JOIN of box-1/, deal, [await makeJoin("box-1", {}, "box-2"), join2, join3]);
  refused(/not signed by the enclave/, await makeDeal({}, "box-1"));
  refused(/not signed by the enclave/, await makeDeal({ plan: filled(32, 0) }));
  refused(/not signed by the enclave/, await makeDeal({}, "enclave", "stranger"));
  const { pieces, digests } = dealBody;
  for (const some of [pieces.slice(1), [...pieces, pieces[2]!], swapped(pieces)]) refused(/piece and digest for every holder/, await makeDeal({ pieces: some }));
  for (const some of [digests.slice(1), [...digests, digests[2]!], swapped(digests)]) refused(/piece and digest for every holder/, await makeDeal({ digests: some }));
  refused(/an x is not the plan's/, await makeDeal({ digests: digests.map((one) => ({ ...one, x: 4 - one.x })) }));
});

void t.test("SEALED by all over one transcript", async (t) => {
  const makeSealed = (by: string, over = transcript, signer = by) => signStatement(keys[signer]!, "sealed", "demo", by, { transcript: over });
  const sealed = await Promise.all(boxes.map((box) => makeSealed(box)));
  t.doesNotThrow(() => { judgeSealed(sealed, transcript, plan, record); });
  const [one, two, three] = sealed as [typeof sealed[number], typeof sealed[number], typeof sealed[number]];
  for (const some of [[], [one, two], [...sealed, three], swapped(sealed), [one, two, two], [one, two, await makeSealed("box-3", filled(32, 0))], [one, two, await makeSealed("box-3", transcript, "box-1")]]) {
    t.throws(() => { judgeSealed(some, transcript, plan, record); }, { code: "DEAL_REFUSED", message: /one SEALED of every holder/ });
  }
});

void t.test("CHECK by all, on one polynomial of degree below the threshold", async (t) => {
  const line = [new Uint8Array(16).fill(3), new Uint8Array(16).fill(5)];
  const makeCheck = (by: string, value: Uint8Array, over = transcript, signer = by): Promise<Check> => signStatement(keys[signer]!, "check", "demo", by, { transcript: over, value: toBase64url(value) });
  const on = (coefficients: readonly Uint8Array[]): Promise<Check[]> => Promise.all(holders.map(({ box, x }) => makeCheck(box, evaluate(coefficients, x))));
  const checks = await on(line);
  await t.resolves(judgeChecks(checks, transcript, plan, record));
  const bad = { code: "DEAL_REFUSED", message: /one polynomial/ };
  await t.rejects(judgeChecks(await on([...line, new Uint8Array(16).fill(1)]), transcript, plan, record), bad, "a parabola is no line");
  const values = checks.map(({ body }) => fromBase64url(body.value)!);
  const last = values[2]!;
  last[15]! ^= 1;
  const changed = await Promise.all(boxes.map((box, i) => makeCheck(box, values[i]!)));
  await t.rejects(judgeChecks(changed, transcript, plan, record), bad, "one bit is enough");
  const incomplete = { code: "DEAL_REFUSED", message: /one CHECK of every holder/ };
  for (const some of [checks.slice(1), swapped(checks), [...checks.slice(0, 2), await makeCheck("box-3", last, filled(32, 0))], [...checks.slice(0, 2), await makeCheck("box-3", last, transcript, "box-1")]]) {
    await t.rejects(judgeChecks(some, transcript, plan, record), incomplete);
  }
});

void t.test("the record that a plan and a deal make, and its certificate", async (t) => {
  const born = recordOfBirth(plan, deal);
  t.strictSame(born, {
    site: "demo", key: "payroll", kind: "aes-256", version: 1, epoch: 1, attempt: 1, threshold: 2, size: dealBody.digests.length, margin: 1, holders: dealBody.digests,
    check: dealBody.check, plan: planHash, previous: null, imported: null,
  });
  const right = { record: keyRecordHash(born), key: "payroll", epoch: 1, attempt: 1 };
  const makePrepared = (by: string, change: Partial<Prepared["body"]> = {}, signer = by): Promise<Prepared> => signStatement(keys[signer]!, "prepared", "demo", by, { ...right, ...change });
  const prepared = await Promise.all(boxes.map((box) => makePrepared(box)));
  const [one, two] = prepared as [Prepared, Prepared];
  t.ok(isCertified(born, prepared, record));
  t.ok(isCertified(born, swapped(prepared), record), "in any order");
  const third = async (...args: Parameters<typeof makePrepared>): Promise<Prepared[]> => [one, two, await makePrepared(...args)];
  t.notOk(isCertified(born, [one, two], record), "all, not most");
  t.notOk(isCertified(born, [one, two, two], record), "nobody twice");
  t.notOk(isCertified(born, [...prepared, two], record));
  t.notOk(isCertified(born, await third("box-3", {}, "box-1"), record), "each by its own key");
  t.notOk(isCertified(born, await third("cli"), record), "boxes only");
  for (const change of [{ record: filled(32, 0) }, { key: "other" }, { epoch: 2 }, { attempt: 2 }]) t.notOk(isCertified(born, await third("box-3", change), record), JSON.stringify(change));
  t.notOk(isCertified({ ...born, threshold: 3 }, prepared, record), "another record");
  const two1 = { ...born, holders: born.holders.slice(0, 2) };
  const ofTwo = { record: keyRecordHash(two1) };
  t.ok(isCertified(two1, [await makePrepared("box-1", ofTwo), await makePrepared("box-2", ofTwo)], record));
  t.notOk(isCertified(two1, [await makePrepared("box-1", ofTwo), await makePrepared("box-3", ofTwo)], record), "a box that is no holder certifies nothing");
});
