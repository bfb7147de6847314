import { keyRecordHash, transcriptHash, type Join, type KeyRecord, type SealedStatement } from "../../protocol/key-record.ts";
import { participantsOf, type PieceRole, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../protocol/reshard.ts";
import type { SiteRecord } from "../../protocol/site-record.ts";
import { statementHash, type Signed } from "../../protocol/statement.ts";
import { bytesOf } from "../../runtime/encoding.ts";
import { judge, type Verdict } from "../../sharding/reshare.ts";
import { isByBox } from "../birth.ts";
import { Refusal } from "../refusal.ts";

const refuse = (why: string): Refusal => new Refusal("DEAL_REFUSED", why);

/** Exactly one statement of each of `boxes`, in their order, each its own and fitting. */
function requireEach<S extends Signed<unknown>>(statements: readonly S[], boxes: readonly string[], fits: (one: S) => boolean, record: SiteRecord, name: string): void {
  const complete = statements.length === boxes.length && boxes.every((box, i) => statements[i]?.by === box);
  if (!complete || !statements.every((one) => fits(one) && isByBox(one, record))) throw refuse(`not exactly one ${name} of everybody on this plan`);
}

/** One JOIN of every participant. Throws DEAL_REFUSED. */
export function judgeJoins(plan: ReshardPlan, joins: readonly Join[], record: SiteRecord): void {
  const planHash = statementHash(plan);
  requireEach(joins, participantsOf(plan), ({ body }) => body.plan === planHash, record, "JOIN");
}

/** The pieces that a dealer deals: one to every new holder, one to every witness. */
export function piecesOf({ body }: ReshardPlan): { readonly box: string; readonly role: PieceRole }[] {
  return [
    ...body.holders.map(({ box }) => ({ box, role: "holder" as const })),
    ...body.witnesses.map(({ box }) => ({ box, role: "witness" as const })),
  ];
}

/** JOINs and DEALs of this plan, complete and signed. Returns T. Throws DEAL_REFUSED. */
export function judgeDeals(plan: ReshardPlan, joins: readonly Join[], deals: readonly ReshardDeal[], record: SiteRecord): string {
  const planHash = statementHash(plan);
  judgeJoins(plan, joins, record);
  const wanted = piecesOf(plan);
  const whole = ({ body }: ReshardDeal): boolean => body.plan === planHash && body.pieces.length === wanted.length
    && wanted.every(({ box, role }, i) => body.pieces[i]?.box === box && body.pieces[i].role === role);
  requireEach(deals, plan.body.dealers.map(({ box }) => box), whole, record, "DEAL");
  return transcriptHash(plan.site, planHash, joins.map(statementHash), deals.map(statementHash));
}

/** Everybody signed SEALED over our own T: nobody was shown other deals. Throws DEAL_REFUSED. */
export function judgeAllSealed(plan: ReshardPlan, transcript: string, sealed: readonly SealedStatement[], record: SiteRecord): void {
  requireEach(sealed, participantsOf(plan), ({ body }) => body.transcript === transcript, record, "SEALED");
}

/** The verdict on what everybody published about one transcript. Throws DEAL_REFUSED if it is not complete. */
export async function judgeReshardChecks(plan: ReshardPlan, transcript: string, checks: readonly ReshardCheck[], record: SiteRecord): Promise<Verdict> {
  const { dealers, witnesses, holders, keys, threshold, nextThreshold } = plan.body;
  const isHolder = new Set(holders.map(({ box }) => box));
  const isWitness = new Set(witnesses.map(({ box }) => box));
  const whole = ({ by, body }: ReshardCheck): boolean => body.transcript === transcript
    && (body.holder !== null) === isHolder.has(by) && (body.witness !== null) === isWitness.has(by)
    && (body.holder === null || (body.holder.values.length === dealers.length && body.holder.digests.length === keys.length));
  requireEach(checks, participantsOf(plan), whole, record, "CHECK");
  const of = (box: string): ReshardCheck["body"] | undefined => checks.find(({ by }) => by === box)?.body;
  return await judge({
    t: threshold, nextT: nextThreshold,
    witnesses: witnesses.map(({ box, x }) => ({ x, y: bytesOf(of(box)?.witness ?? "") })),
    dealers: dealers.map(({ x }, i) => ({ x, values: holders.map((holder) => ({ x: holder.x, y: bytesOf(of(holder.box)?.holder?.values[i] ?? "") })) })),
  });
}

/** The records that this plan and these CHECKs make, in the plan's order: everybody computes them. */
export function recordsOf(plan: ReshardPlan, checks: readonly ReshardCheck[]): KeyRecord[] {
  const { body } = plan;
  const planHash = statementHash(plan);
  return body.keys.map(({ key, version, epoch, attempt, previous, check, imported }, i) => ({
    site: plan.site, key, kind: body.kind, version, epoch, attempt, threshold: body.nextThreshold, size: body.size, margin: body.margin,
    holders: body.holders.map(({ box, x }) => ({ box, x, digest: checks.find(({ by }) => by === box)?.body.holder?.digests[i] ?? "" })),
    check, plan: planHash, previous, imported,
  }));
}

export function hashesOf(records: readonly KeyRecord[]): string[] {
  return records.map(keyRecordHash);
}
