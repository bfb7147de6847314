import t from "tap";
import { keyRecordHash, transcriptHash, type Join, type SealedStatement } from "../../../agent/protocol/key-record.ts";
import { participantsOf, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { statementHash } from "../../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url } from "../../../agent/runtime/encoding.ts";
import { hashesOf, judgeAllSealed, judgeDeals, judgeJoins, judgeReshardChecks, piecesOf, recordsOf } from "../../../agent/rules/reshard/deal.ts";
import { evaluate } from "../../support/polynomials.ts";
import { filled, joinsOf, makeCheck, makeDeal, makeJoin, makePlan, makeSealed, member, members, record, refresh } from "./support.ts";

// box-5 leaves and box-6 comes: box-5 is a witness only, box-6 a holder only.
const holders = [...members(1, 2, 3, 4), member(6, 6)];
const plan = await makePlan({ holders });
const otherPlan = await makePlan({ holders, reason: "order" });
const everybody = ["box-1", "box-2", "box-3", "box-4", "box-5", "box-6"];
const joins = await joinsOf(plan);
const deals = await Promise.all(["box-1", "box-2", "box-3"].map((box) => makeDeal(plan, box)));
const swapped = <T>([one, two, ...rest]: readonly T[]): T[] => [two!, one!, ...rest];
const lastIs = <T>(all: readonly T[], last: T): T[] => [...all.slice(0, -1), last];

void t.test("everybody, and what each dealer deals", (t) => {
  t.strictSame(participantsOf(plan), everybody);
  t.strictSame(piecesOf(plan), [
    ...["box-1", "box-2", "box-3", "box-4", "box-6"].map((box) => ({ box, role: "holder" })),
    ...["box-1", "box-2", "box-3", "box-4", "box-5"].map((box) => ({ box, role: "witness" })),
  ]);
  t.end();
});

void t.test("one JOIN of every participant, in order, on this plan, its own", async (t) => {
  t.doesNotThrow(() => { judgeJoins(plan, joins, record); });
  const refused: readonly (readonly Join[])[] = [
    [], joins.slice(1), joins.slice(0, -1), swapped(joins), [...joins, joins[5]!], lastIs(joins, joins[4]!),
    lastIs(joins, await makeJoin(otherPlan, "box-6")), lastIs(joins, await makeJoin(plan, "box-6", {}, "box-5")), lastIs(joins, await makeJoin(plan, "box-7")),
  ];
  for (const some of refused) t.throws(() => { judgeJoins(plan, some, record); }, { code: "DEAL_REFUSED", message: /one JOIN of everybody/ });
});

void t.test("one DEAL of every dealer with a piece for everybody: the transcript", async (t) => {
  const planHash = statementHash(plan);
  t.equal(judgeDeals(plan, joins, deals, record), transcriptHash("demo", planHash, joins.map(statementHash), deals.map(statementHash)));
  t.throws(() => judgeDeals(plan, joins.slice(1), deals, record), { code: "DEAL_REFUSED", message: /one JOIN of everybody/ });
  const { pieces } = deals[0]!.body;
  const with3 = async (...change: Parameters<typeof makeDeal> extends [unknown, unknown, ...infer R] ? R : never): Promise<ReshardDeal[]> => lastIs(deals, await makeDeal(plan, "box-3", ...change));
  const refused: readonly (readonly ReshardDeal[])[] = [
    [], deals.slice(1), swapped(deals), [...deals, deals[2]!], lastIs(deals, deals[0]!), lastIs(deals, await makeDeal(plan, "box-4")),
    lastIs(deals, await makeDeal(otherPlan, "box-3")), await with3({}, "box-1"),
    await with3({ pieces: pieces.slice(1) }), await with3({ pieces: [...pieces, pieces[0]!] }), await with3({ pieces: swapped(pieces) }),
    await with3({ pieces: pieces.map((one) => ({ ...one, role: "holder" as const })) }), await with3({ pieces: lastIs(pieces, { ...pieces[9]!, box: "box-6" }) }),
  ];
  for (const [i, some] of refused.entries()) t.throws(() => judgeDeals(plan, joins, some, record), { code: "DEAL_REFUSED", message: /one DEAL of everybody/ }, String(i));
});

void t.test("SEALED by everybody over one transcript", async (t) => {
  const transcript = filled(32, 60);
  const sealed = await Promise.all(everybody.map((box) => makeSealed(transcript, box)));
  t.doesNotThrow(() => { judgeAllSealed(plan, transcript, sealed, record); });
  const refused: readonly (readonly SealedStatement[])[] = [
    [], sealed.slice(1), sealed.slice(0, -1), swapped(sealed), [...sealed, sealed[5]!], lastIs(sealed, sealed[4]!),
    lastIs(sealed, await makeSealed(filled(32, 0), "box-6")), lastIs(sealed, await makeSealed(transcript, "box-6", "box-5")),
  ];
  for (const some of refused) t.throws(() => { judgeAllSealed(plan, transcript, some, record); }, { code: "DEAL_REFUSED", message: /one SEALED of everybody/ });
});

/** Values as honest parties with key and masks 0 would publish them, of degree 2 everywhere; `spoil` changes one. */
const transcript = filled(32, 61);
const curve = (seed: number): Uint8Array[] => [new Uint8Array(16), ...[1, 2].map((i) => new Uint8Array(16).fill(seed + i))];
type Body = ReshardCheck["body"];
async function checksOf(of: ReshardPlan, spoil: Partial<Record<string, (body: Body) => Body>> = {}): Promise<ReshardCheck[]> {
  return await Promise.all(participantsOf(of).map((box) => {
    const holder = of.body.holders.find((one) => one.box === box);
    const witness = of.body.witnesses.find((one) => one.box === box);
    const body: Body = {
      transcript,
      holder: holder === undefined ? null : {
        values: of.body.dealers.map((_, i) => toBase64url(evaluate(curve(10 * i), holder.x))),
        digests: of.body.keys.map((_, i) => filled(32, 100 + 10 * i + holder.x)),
      },
      witness: witness === undefined ? null : toBase64url(evaluate(curve(40), witness.x)),
    };
    return makeCheck(box, spoil[box]?.(body) ?? body);
  }));
}
const bit = (text: string): string => {
  const bytes = fromBase64url(text)!;
  bytes[15]! ^= 1;
  return toBase64url(bytes);
};
const checks = await checksOf(plan);

void t.test("the verdict on what everybody published", async (t) => {
  const verdict = async (some: readonly ReshardCheck[], of = plan) => await judgeReshardChecks(of, transcript, some, record);
  t.strictSame(await verdict(checks), { kind: "accepted", proven: true });
  const few = await makePlan({ holders, witnesses: members(1, 2, 3) });
  t.strictSame(await verdict(await checksOf(few), few), { kind: "accepted", proven: false }, "t points always fit");
  t.match(await verdict(await checksOf(plan, { "box-4": (body) => ({ ...body, witness: bit(body.witness!) }) })), { kind: "witnesses-off-degree", liars: [4] });
  const lie = (body: Body): Body => ({ ...body, holder: { ...body.holder!, values: body.holder!.values.map((value, i) => (i === 1 ? bit(value) : value)) } });
  t.strictSame(await verdict(await checksOf(plan, { "box-6": lie })), { kind: "dealers-off-degree", pairs: [{ dealer: 2, holder: 6 }] }, "dealer and holder by their own x");
  const shift = (body: Body): Body => ({ ...body, holder: body.holder === null ? null : { ...body.holder, values: body.holder.values.map((value, i) => (i === 0 ? bit(value) : value)) } });
  t.strictSame(await verdict(await checksOf(plan, Object.fromEntries(everybody.map((box) => [box, shift])))), { kind: "sums-differ" });
});

void t.test("one whole CHECK of everybody, by its roles", async (t) => {
  const refused: readonly (readonly ReshardCheck[])[] = [
    [], checks.slice(1), checks.slice(0, -1), swapped(checks), [...checks, checks[5]!], lastIs(checks, checks[4]!),
    lastIs(checks, await makeCheck("box-6", checks[5]!.body, "box-5")),
    await checksOf(plan, { "box-6": (body) => ({ ...body, transcript: filled(32, 0) }) }),
    await checksOf(plan, { "box-6": (body) => ({ ...body, holder: null }) }),
    await checksOf(plan, { "box-6": (body) => ({ ...body, witness: filled(16, 0) }) }),
    await checksOf(plan, { "box-5": (body) => ({ ...body, holder: checks[5]!.body.holder }) }),
    await checksOf(plan, { "box-5": (body) => ({ ...body, witness: null }) }),
    await checksOf(plan, { "box-6": (body) => ({ ...body, holder: { ...body.holder!, values: body.holder!.values.slice(1) } }) }),
    await checksOf(plan, { "box-6": (body) => ({ ...body, holder: { ...body.holder!, values: [...body.holder!.values, filled(16, 0)] } }) }),
    await checksOf(plan, { "box-6": (body) => ({ ...body, holder: { ...body.holder!, digests: [filled(32, 0), filled(32, 0)] } }) }),
  ];
  for (const [i, some] of refused.entries()) await t.rejects(judgeReshardChecks(plan, transcript, some, record), { code: "DEAL_REFUSED", message: /one CHECK of everybody/ }, String(i));
});

void t.test("the records that a plan and its CHECKs make: the wire format, byte for byte", async (t) => {
  const [payroll] = refresh.keys as [typeof refresh.keys[number]];
  const backup = { ...payroll, key: "backup", version: 2, epoch: 9, attempt: 12, previous: filled(32, 70), check: filled(32, 71), imported: filled(40, 72) };
  const fixed = await makePlan({ holders, keys: [{ ...payroll, previous: filled(32, 69) }, backup] });
  const made = recordsOf(fixed, await checksOf(fixed));
  t.equal(statementHash(fixed), "hilgXEcRsDlUGFGK0W8qpnGJXIGuoJ0L1L16ZpJaBHo");
  t.strictSame(made[1], {
    site: "demo", key: "backup", kind: "aes-256", version: 2, epoch: 9, attempt: 12, threshold: 3, size: 5, margin: 1,
    holders: [1, 2, 3, 4, 6].map((n) => ({ box: `box-${n}`, x: n, digest: filled(32, 110 + n) })),
    check: filled(32, 71), plan: statementHash(fixed), previous: filled(32, 70), imported: filled(40, 72),
  });
  t.strictSame(made[0]!.holders.map(({ digest }) => digest), [1, 2, 3, 4, 6].map((n) => filled(32, 100 + n)), "each key has its own digests");
  t.strictSame(hashesOf(made), ["W6fyWhtkoiiCWeU8uepVCIG4bTrBzNcSRWIEaBnUlmQ", "rswyDEtOPEy3JipEOPO4xKXbandIlgfmx7nWfRvc-7c"]);
  t.strictSame(hashesOf(made), made.map(keyRecordHash));
  const bigger = await makePlan({ holders, nextThreshold: 4, size: 7, margin: 0 });
  t.match(recordsOf(bigger, await checksOf(bigger))[0], { threshold: 4, size: 7, margin: 0 }, "the new threshold");
});
