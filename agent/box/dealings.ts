import type { Join, SealedStatement } from "../protocol/key-record.ts";
import { keyRecordHash, sharePrefix } from "../protocol/key-record.ts";
import type { Sealed } from "../protocol/primitives.ts";
import { pieceHash, reshardPieceContext, type Member, type PieceRole, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../protocol/reshard.ts";
import { statementHash } from "../protocol/statement.ts";
import { judgeAllSealed, judgeDeals, judgeJoins, piecesOf } from "../rules/reshard/deal.ts";
import { isByBox } from "../rules/birth.ts";
import { Refusal } from "../rules/refusal.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { hasCode } from "../runtime/errors.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf } from "./shelf.ts";
import { signAs } from "./sign.ts";

interface Dealing {
  readonly plan: ReshardPlan;
  readonly join: Join;
  dealt?: { readonly joins: readonly Join[]; readonly deal: ReshardDeal; readonly pieces: Sealed[] };
  sealed?: { readonly transcript: string; readonly statement: SealedStatement };
  check?: ReshardCheck;
}

const mostDealings = 8;
const texts = ({ enc, ct }: { readonly enc: Uint8Array; readonly ct: Uint8Array }): Sealed => ({ enc: toBase64url(enc), ct: toBase64url(ct) });

/**
 * JOIN to CHECK at one box: what lives in memory only, here and in the hsm process. A restart ends the box's
 * part, because a mask hides one published value and must not hide a second (protocol.md §7). Each step is
 * signed once; asked again it gives the same statement.
 */
export class Dealings {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  readonly #live = new Map<string, Dealing>();

  constructor(parts: BoxParts, shelf: Shelf) {
    this.#parts = parts;
    this.#shelf = shelf;
  }

  joinOf(planHash: string): Join | undefined {
    return this.#live.get(planHash)?.join;
  }

  /** A fresh receiving key under a plan that was judged. */
  async join(plan: ReshardPlan): Promise<Join> {
    const planHash = statementHash(plan);
    const oldest = this.#live.size < mostDealings ? undefined : this.#live.keys().next().value;
    if (oldest !== undefined) await this.close(oldest);
    const key = await this.#parts.hsm.openReceiving({ id: planHash });
    const join = await signAs(this.#parts, "join", { plan: planHash, key: toBase64url(key) });
    this.#live.set(planHash, { plan, join });
    return join;
  }

  /** JOINs → DEAL, once: the dealer's own shards split in its HSM, a piece sealed to each recipient. */
  async deal(planHash: string, joins: readonly Join[]): Promise<{ deal: ReshardDeal; pieces: Sealed[] }> {
    const dealing = this.#of(planHash);
    const { plan } = dealing;
    const { site, box, hsm, records } = this.#parts;
    if (!plan.body.dealers.some((dealer) => dealer.box === box)) throw new Refusal("DEAL_REFUSED", `the plan does not make ${box} a dealer`);
    judgeJoins(plan, joins, records.current);
    this.#requireOwnJoin(dealing, joins);
    const named = (all: readonly Join[]): string => all.map(statementHash).join();
    if (dealing.dealt === undefined) {
      const keys = new Map(joins.map((join) => [join.by, bytesOf(join.body.key)]));
      const to = (role: PieceRole) => ({ box: recipient, x }: Member) => ({ x, recipient: keys.get(recipient) ?? new Uint8Array(), info: reshardPieceContext(site, planHash, box, recipient, role) });
      const { holders, witnesses } = await hsm.dealShards({
        id: planHash, ...this.#own(plan), t: plan.body.threshold, nextT: plan.body.nextThreshold,
        holders: plan.body.holders.map(to("holder")), witnesses: plan.body.witnesses.map(to("witness")),
      });
      const pieces = [...holders, ...witnesses].map(texts);
      const deal = await signAs(this.#parts, "reshard-deal", { plan: planHash, pieces: pieces.flatMap((piece, i) => {
        const of = piecesOf(plan)[i];
        return of === undefined ? [] : [{ ...of, hash: pieceHash(site, piece) }];
      }) });
      dealing.dealt = { joins, deal, pieces };
    }
    if (named(dealing.dealt.joins) !== named(joins)) throw new Refusal("DEAL_REFUSED", "a second set of JOINs for one deal");
    const { deal, pieces } = dealing.dealt;
    return { deal, pieces };
  }

  /** Deals and own pieces → SEALED(T): one transcript an attempt, and only if every own piece opens. */
  async seal(planHash: string, joins: readonly Join[], deals: readonly ReshardDeal[], pieces: readonly { readonly holder: Sealed | null; readonly witness: Sealed | null }[]): Promise<SealedStatement> {
    const dealing = this.#of(planHash);
    const { plan } = dealing;
    const { records, hsm } = this.#parts;
    const transcript = judgeDeals(plan, joins, deals, records.current);
    this.#requireOwnJoin(dealing, joins);
    const own = dealing.dealt?.deal;
    if (own !== undefined && !deals.some((deal) => statementHash(deal) === statementHash(own))) throw new Refusal("DEAL_REFUSED", "our own deal is not the one that was dealt");
    if (dealing.sealed === undefined) {
      const dealers = plan.body.dealers.map(({ box: dealer, x }, i) => ({
        x, ...this.#piece(plan, dealer, deals[i], "holder", pieces[i]?.holder ?? null), ...this.#piece(plan, dealer, deals[i], "witness", pieces[i]?.witness ?? null),
      }));
      await hsm.receiveDealt({ id: planHash, keys: plan.body.keys.length, dealers });
      dealing.sealed = { transcript, statement: await signAs(this.#parts, "sealed", { transcript }) };
    }
    if (dealing.sealed.transcript !== transcript) throw new Refusal("DEAL_REFUSED", "a second transcript for one attempt");
    return dealing.sealed.statement;
  }

  /** All SEALED(T) → CHECK, published once: under one mask there is one value. */
  async check(planHash: string, sealed: readonly SealedStatement[]): Promise<ReshardCheck> {
    const dealing = this.#of(planHash);
    const { plan } = dealing;
    const { records, hsm, site, box } = this.#parts;
    if (dealing.sealed === undefined) throw new Refusal("DEAL_REFUSED", `${box} has sealed no transcript of this attempt`);
    const { transcript } = dealing.sealed;
    judgeAllSealed(plan, transcript, sealed, records.current);
    if (dealing.check !== undefined) return dealing.check;
    const own = plan.body.holders.find((holder) => holder.box === box);
    const holder = own === undefined ? null : await hsm.holderCheck({
      id: planHash, transcript: bytesOf(transcript),
      keys: plan.body.keys.map(({ key, epoch, attempt }) => ({ keyId: key, digestPrefix: sharePrefix(site, { key, epoch, attempt, box, x: own.x }) })),
    });
    const witness = !plan.body.witnesses.some((one) => one.box === box) ? null : await hsm.witnessCheck({
      id: planHash, transcript: bytesOf(transcript), ...this.#own(plan),
    });
    dealing.check = await signAs(this.#parts, "reshard-check", {
      transcript,
      holder: holder === null ? null : { values: holder.values.map(toBase64url), digests: holder.digests.map(toBase64url) },
      witness: witness === null ? null : toBase64url(witness),
    });
    return dealing.check;
  }

  /** The transcript that these CHECKs are about; our own is among them. */
  published(planHash: string, checks: readonly ReshardCheck[]): string {
    const { check, sealed } = this.#of(planHash);
    if (check === undefined || sealed === undefined || !checks.some((one) => statementHash(one) === statementHash(check))) {
      throw new Refusal("DEAL_REFUSED", `the CHECK of ${this.#parts.box} is not among those shown`);
    }
    return sealed.transcript;
  }

  /** The scalar that opens our seal to the holder of `check`, if that is not what we dealt to it. */
  async reveal(planHash: string, check: ReshardCheck): Promise<string> {
    const { plan, dealt, sealed } = this.#of(planHash);
    const { site, box, hsm, records } = this.#parts;
    const index = plan.body.holders.findIndex((holder) => holder.box === check.by);
    const dealer = plan.body.dealers.findIndex((one) => one.box === box);
    const join = dealt?.joins.find((one) => one.by === check.by);
    const [piece, x, published] = [dealt?.pieces[index], plan.body.holders[index]?.x, check.body.holder?.values[dealer]];
    if (piece === undefined || x === undefined || published === undefined || join === undefined || check.body.transcript !== sealed?.transcript || !isByBox(check, records.current)) {
      throw new Refusal("DEAL_REFUSED", `this CHECK is not about a deal of ${box}`);
    }
    try {
      return toBase64url(await hsm.revealSeal({
        id: planHash, x, recipient: bytesOf(join.body.key), enc: bytesOf(piece.enc), ct: bytesOf(piece.ct), info: reshardPieceContext(site, planHash, box, check.by, "holder"),
        transcript: bytesOf(sealed.transcript), keyIds: plan.body.keys.map(({ key }) => key), published: bytesOf(published),
      }));
    } catch (error) {
      if (!hasCode(error, "CHECK_MATCHES")) throw error;
      throw new Refusal("CHECK_MATCHES", `what ${check.by} published is what ${box} dealt to it`, { cause: error });
    }
  }

  /** The receiving key and what it received; the deal is kept, should it be accused. */
  async closeReceiving(planHash: string): Promise<void> {
    await this.#parts.hsm.closeReceiving({ id: planHash });
  }

  async close(planHash: string): Promise<void> {
    this.#live.delete(planHash);
    await this.closeReceiving(planHash);
    await this.#parts.hsm.closeDealing({ id: planHash });
  }

  async closeAbout(isAbout: (plan: ReshardPlan) => boolean): Promise<void> {
    for (const [planHash, { plan }] of [...this.#live]) if (isAbout(plan)) await this.close(planHash);
  }

  #of(planHash: string): Dealing {
    const dealing = this.#live.get(planHash);
    if (dealing === undefined) throw new Refusal("ATTEMPT_LOST", `${this.#parts.box} has not joined this attempt, or was restarted since`);
    return dealing;
  }

  #requireOwnJoin({ join }: Dealing, joins: readonly Join[]): void {
    if (!joins.some((one) => statementHash(one) === statementHash(join))) throw new Refusal("DEAL_REFUSED", `the JOIN of ${this.#parts.box} is not its own`);
  }

  /** This box's shards of the plan's keys, in the plan's order, and the vault that they are under. */
  #own(plan: ReshardPlan) {
    const own = plan.body.keys.map(({ key, previous }) => {
      const current = this.#shelf.get(key, "current");
      if (current === undefined || keyRecordHash(current.record) !== previous) throw new Refusal("WRONG_RECORD", `${this.#parts.box} no longer serves the record of ${key} that is re-sharded`);
      return current;
    });
    const { vault, shards } = this.#shelf.batch(own);
    return { vault, shards: shards.map((shard, i) => ({ ...shard, keyId: plan.body.keys[i]?.key ?? "" })) };
  }

  /** A piece for us, exactly the one that the dealer signed; none where we have no such role. */
  #piece(plan: ReshardPlan, dealer: string, deal: ReshardDeal | undefined, role: PieceRole, sealed: Sealed | null) {
    const { site, box } = this.#parts;
    const named = deal?.body.pieces.find((one) => one.box === box && one.role === role)?.hash;
    if (named === undefined) return {};
    if (sealed === null || pieceHash(site, sealed) !== named) throw new Refusal("DEAL_REFUSED", `the ${role}'s piece of ${dealer} is not the one that it signed`);
    return { [role]: { enc: bytesOf(sealed.enc), ct: bytesOf(sealed.ct), info: reshardPieceContext(site, statementHash(plan), dealer, box, role) } };
  }
}
