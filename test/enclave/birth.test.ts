import fc from "fast-check";
import t from "tap";
import { enclaveCalls } from "../../agent/enclave/calls.ts";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import { decryptUnder, keyCheckValue } from "../../agent/protocol/ciphertext.ts";
import { mostImported, pieceContext, sharePrefix, type Plan } from "../../agent/protocol/key-record.ts";
import type { RequestFields } from "../../agent/protocol/request.ts";
import { openText } from "../../agent/protocol/sealed.ts";
import { statementHash, verifyStatement } from "../../agent/protocol/statement.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { onOnePolynomial } from "../support/polynomials.ts";
import { ask, birth, bytesOf, fieldsFor, openSigned, payloadFor, sha256, site, text, type Birth } from "./scene.ts";

const fieldsOf = ({ asked, plan }: Birth, enclave: EnclaveCore): RequestFields => fieldsFor(asked.use, enclave.keys, { epoch: plan.body.epoch, attempt: plan.body.attempt, record: statementHash(plan) });

async function ready(one: Birth): Promise<{ enclave: EnclaveCore; fields: RequestFields }> {
  const enclave = new EnclaveCore(systemRandom, () => undefined);
  await enclave.payload(payloadFor(one.asked, enclave.keys));
  return { enclave, fields: fieldsOf(one, enclave) };
}

void t.test("a birth: pieces that only their holders open, on one polynomial, with digests, check value and signature", async (t) => {
  const sharings = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.nat(3)).chain(([threshold, more]) => fc.record({
    threshold: fc.constant(threshold), xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: threshold + more, maxLength: threshold + more }),
    secret: fc.option(fc.uint8Array({ maxLength: 100 }), { nil: undefined }),
  }));
  await fc.assert(fc.asyncProperty(sharings, async ({ threshold, xs, secret }) => {
    const one = await birth(threshold, xs, secret);
    const { enclave, fields } = await ready(one);
    const made = await enclave.create({ fields, plan: one.plan, joins: one.joins });
    const { deal } = made;
    t.ok(enclaveCalls.create.result.safeParse(made).success);
    t.ok(verifyStatement(deal, site, enclave.keys.sign) && deal.by === "enclave" && deal.body.plan === statementHash(one.plan));
    t.equal(openSigned(fields, made).length, 0, "the acknowledgement is empty");
    const pieces = deal.body.pieces.map(({ box, piece }, i) => {
      const context = pieceContext(site, statementHash(one.plan), "enclave", box, "payroll");
      return openText(one.receivers[i]!, piece, context, context);
    });
    t.ok(pieces.every(({ length }) => length === 48));
    const shares = pieces.map((piece, i) => ({ x: xs[i]!, y: piece.slice(0, 32) }));
    const masks = pieces.map((piece, i) => ({ x: xs[i]!, y: piece.slice(32) }));
    t.ok(onOnePolynomial(shares, threshold) && onOnePolynomial(masks, threshold));
    const digests = shares.map(({ x, y }, i) => ({ box: `box-${i + 1}`, x, digest: sha256(sharePrefix(site, { key: "payroll", epoch: 1, attempt: 1, box: `box-${i + 1}`, x }), y) }));
    t.strictSame(deal.body.digests, digests);
    const master = await combineShares(shares.slice(-threshold), threshold);
    t.equal(deal.body.check, keyCheckValue(master, site, "payroll", 1));
    if (secret === undefined) t.equal(deal.body.imported, null);
    else t.strictSame(Buffer.from(decryptUnder(master, { site, key: "payroll", version: 1, use: "wrap", resource: "payroll/march" }, bytesOf(deal.body.imported!))), Buffer.from(secret));
    await t.rejects(enclave.create({ fields, plan: one.plan, joins: one.joins }), { code: "ENCLAVE_SPENT" });
  }), { numRuns: 10 });
});

void t.test("each key, mask and share is new", async (t) => {
  const one = await birth(2, [1, 2]);
  const seen = new Set<string>();
  for (let i = 0; i < 5; i++) {
    const { enclave, fields } = await ready(one);
    const { deal } = await enclave.create({ fields, plan: one.plan, joins: one.joins });
    seen.add(deal.body.check).add(deal.body.digests[0]!.digest);
  }
  t.equal(seen.size, 10);
});

void t.test("a plan that is not the approved one is refused, and changes nothing", async (t) => {
  const one = await birth(2, [1, 2, 3]);
  const { enclave, fields } = await ready(one);
  const body = (change: Partial<Plan["body"]>): Plan => ({ ...one.plan, body: { ...one.plan.body, ...change } });
  const { holders } = one.plan.body;
  const changes: Record<string, Plan> = {
    site: { ...one.plan, site: "other" }, request: body({ request: text(16) }), key: body({ key: "public" }), epoch: body({ epoch: 2 }), attempt: body({ attempt: 2 }),
    threshold: body({ threshold: 3 }), holders: body({ holders: holders.slice(0, 2) }), order: body({ holders: [...holders].reverse() }),
    box: body({ holders: holders.map((holder, i) => (i === 0 ? { ...holder, box: "box-9" } : holder)) }), x: body({ holders: holders.map(({ box, x }) => ({ box, x: x + 1 })) }),
    previous: body({ previous: text(32) }),
  };
  for (const [what, plan] of Object.entries(changes)) {
    await t.rejects(enclave.create({ fields, plan, joins: one.joins }), { code: "WRONG_PLAN" }, `${what}, not the named one`);
    if (what === "x" || what === "previous") continue; // these only the plan's hash in the digest binds
    await t.rejects(enclave.create({ fields: { ...fields, record: statementHash(plan) }, plan, joins: one.joins }), { code: "WRONG_PLAN" }, `${what}, not what was asked for`);
  }
  t.ok(await enclave.create({ fields, plan: one.plan, joins: one.joins }), "unharmed");
});

void t.test("one JOIN of every holder, in order, for this plan, with a point", async (t) => {
  const one = await birth(2, [1, 2, 3]);
  const { enclave, fields } = await ready(one);
  const [a, b, c] = [one.joins[0]!, one.joins[1]!, one.joins[2]!];
  const sets = { missing: [a, b], twice: [a, b, b], order: [b, a, c], more: [a, b, c, a], site: [a, b, { ...c, site: "other" }], plan: [a, b, { ...c, body: { ...c.body, plan: text(32) } }] };
  for (const [what, joins] of Object.entries(sets)) await t.rejects(enclave.create({ fields, plan: one.plan, joins }), { code: "JOINS_INCOMPLETE" }, what);
  await t.rejects(enclave.create({ fields, plan: one.plan, joins: [a, b, { ...c, body: { ...c.body, key: text(65) } }] }), { code: "SEAL_INVALID", message: /box-3/ });
  t.ok(await enclave.create({ fields, plan: one.plan, joins: one.joins }), "unharmed");
});

void t.test("a sharing that is none", async (t) => {
  const holdersTwice = ["box-1", "box-1"];
  const twice = await ask(new Uint8Array(), { operation: "create", create: { kind: "aes-256", threshold: 2, holders: holdersTwice, imported: false } });
  const made = await birth(2, [4, 5]);
  const plan: Plan = { ...made.plan, body: { ...made.plan.body, request: twice.use.body.request, holders: [{ box: "box-1", x: 4 }, { box: "box-1", x: 5 }] } };
  const one = { ...made, asked: twice, plan };
  const both = await ready(one);
  const joins = made.joins.map((join) => ({ ...join, by: "box-1", body: { ...join.body, plan: statementHash(plan) } }));
  await t.rejects(both.enclave.create({ fields: both.fields, plan, joins }), { code: "WRONG_PLAN" }, "a holder twice");
  for (const [xs, code] of [[[4, 4], "SHARE_X_DUPLICATE"], [[0, 4], "SHARE_X_INVALID"]] as const) {
    const bad = await birth(2, xs);
    const { enclave, fields } = await ready(bad);
    await t.rejects(enclave.create({ fields, plan: bad.plan, joins: bad.joins }), { code });
  }
  const few = await birth(3, [1, 2]);
  const { enclave, fields } = await ready(few);
  await t.rejects(enclave.create({ fields, plan: few.plan, joins: few.joins }), { code: "SHARE_COUNT" });
});

void t.test("a request that makes no key, another enclave, no payload, too much to import", async (t) => {
  const one = await birth(2, [1, 2]);
  const { enclave, fields } = await ready(one);
  const { plan, joins } = one;
  const other = new EnclaveCore(systemRandom, () => undefined);
  await t.rejects(other.create({ fields: fieldsOf(one, other), plan, joins }), { code: "PAYLOAD_MISSING" });
  await t.rejects(enclave.create({ fields: { ...fields, enclave: other.keys }, plan, joins }), { code: "WRONG_ENCLAVE" });
  const encrypt = await ready({ ...one, asked: await ask(new Uint8Array()) });
  await t.rejects(encrypt.enclave.create({ fields: encrypt.fields, plan, joins }), { code: "WRONG_OPERATION" });
  const { use } = await ask(new Uint8Array(), { ...one.asked.use.body, operation: "encrypt" });
  const both = await ready({ ...one, asked: { ...one.asked, use } });
  await t.rejects(both.enclave.create({ fields: both.fields, plan, joins }), { code: "WRONG_OPERATION" }, "with a key's parameters, but to encrypt");
  const tooLong = { code: "PAYLOAD_TOO_LONG" };
  await t.rejects(ready(await birth(2, [1, 2], new Uint8Array(mostImported + 1))), tooLong);
  const unasked = await ask(new Uint8Array(1), { operation: "create", create: { kind: "aes-256", threshold: 2, holders: ["box-1", "box-2"], imported: false } });
  await t.rejects(ready({ ...one, asked: unasked }), tooLong, "a payload where none is imported");
  const most = await birth(2, [1, 2], new Uint8Array(mostImported));
  const full = await ready(most);
  t.ok(enclaveCalls.create.result.safeParse(await full.enclave.create({ fields: full.fields, plan: most.plan, joins: most.joins })).success);
});
