import type { Evidence } from "../protocol/evidence.ts";
import {
  atRestAad, keyRecordHash, pieceContext, sharePrefix, type Activated, type CertifiedRecord, type Check, type Deal, type Join, type Plan, type Prepared, type SealedStatement,
} from "../protocol/key-record.ts";
import { counter } from "../protocol/primitives.ts";
import type { RequestFields } from "../protocol/request.ts";
import { statementHash } from "../protocol/statement.ts";
import { isCertified, judgeChecks, judgeDeal, judgePlan, judgePlanOfRequest, judgeSealed, recordOfBirth } from "../rules/birth.ts";
import { judgeUse } from "../rules/judge.ts";
import { Refusal } from "../rules/refusal.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { getJson, putJson } from "../store/json.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf } from "./shelf.ts";
import { signAs } from "./sign.ts";

interface Born {
  readonly plan: Plan;
  readonly planHash: string;
  readonly joinHash: string;
  /** One deal, one transcript per attempt. */
  dealt?: { readonly deal: Deal; readonly transcript: string };
}

const mostBirths = 16;

/**
 * A holder's part in the birth of a key (protocol.md §§5, 7). The receiving key and the piece live in the
 * HSM process's memory only: a restart before PREPARED ends the attempt, and its number is never used again.
 */
export class Births {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  readonly #born = new Map<string, Born>();

  constructor(parts: BoxParts, shelf: Shelf) {
    this.#parts = parts;
    this.#shelf = shelf;
  }

  /** PLAN → JOIN: a fresh receiving key under a plan that this box can be part of. */
  async join(plan: Plan): Promise<Join> {
    const { records, store, hsm, box } = this.#parts;
    judgePlan(plan, records.current);
    const { key, attempt, holders } = plan.body;
    if (!holders.some((holder) => holder.box === box)) throw new Refusal("NOT_A_HOLDER", `the plan for ${key} does not name ${box}`);
    if (this.#shelf.get(key, "current") !== undefined) throw new Refusal("PLAN_REFUSED", `${box} already holds a shard of ${key}`);
    const last = getJson(store, `attempt/${key}`, counter) ?? 0;
    if (attempt <= last || attempt > last + 1000) throw new Refusal("PLAN_REFUSED", `attempt ${attempt} for ${key} does not follow attempt ${last}`);
    await store.commit([putJson(`attempt/${key}`, attempt)]);
    const planHash = statementHash(plan);
    await this.#forgetOldest();
    const receiving = await hsm.openReceiving({ id: planHash });
    const join = await signAs(this.#parts, "join", { plan: planHash, key: toBase64url(receiving) });
    this.#born.set(planHash, { plan, planHash, joinHash: statementHash(join) });
    return join;
  }

  /** DEAL → SEALED(T): request, evidence and rule `create` judged here, the piece opened and checked in the HSM. */
  async deal(fields: RequestFields, evidence: readonly Evidence[], plan: Plan, joins: readonly Join[], deal: Deal, coordinatorBoot: string): Promise<SealedStatement> {
    const { records, nonces, box, site, hsm } = this.#parts;
    judgeUse(fields, evidence, records.judge(box, (own) => nonces.honours(own), coordinatorBoot));
    judgePlanOfRequest(plan, fields);
    const born = this.#of(statementHash(plan));
    if (!joins.some((join) => statementHash(join) === born.joinHash)) throw new Refusal("DEAL_REFUSED", `the deal does not use the JOIN of ${box}`);
    const transcript = judgeDeal(plan, joins, deal, fields.enclave.sign, records.current);
    if (born.dealt !== undefined && born.dealt.transcript !== transcript) throw new Refusal("DEAL_REFUSED", "a second deal for one attempt");
    if (born.dealt === undefined) {
      const { key, epoch, attempt } = plan.body;
      const piece = deal.body.pieces.find((one) => one.box === box)?.piece;
      const own = deal.body.digests.find((one) => one.box === box);
      if (piece === undefined || own === undefined) throw new Refusal("DEAL_REFUSED", `the deal has nothing for ${box}`);
      const context = pieceContext(site, born.planHash, "enclave", box, key);
      await hsm.receivePiece({
        id: born.planHash, enc: bytesOf(piece.enc), ct: bytesOf(piece.ct), info: context, aad: context,
        digestPrefix: sharePrefix(site, { key, epoch, attempt, box, x: own.x }), digest: bytesOf(own.digest),
      });
      born.dealt = { deal, transcript };
    }
    return await signAs(this.#parts, "sealed", { transcript });
  }

  /** All SEALED(T) → CHECK, published once per attempt. */
  async check(transcript: string, sealed: readonly SealedStatement[]): Promise<Check> {
    const born = this.#dealt(transcript);
    judgeSealed(sealed, transcript, born.plan, this.#parts.records.current);
    const value = await this.#parts.hsm.checkValue({ id: born.planHash, seed: bytesOf(transcript), keyId: born.plan.body.key });
    return await signAs(this.#parts, "check", { transcript, value: toBase64url(value) });
  }

  /** All CHECK → PREPARED: the share is durable as *next*, read back and opened, before this is signed. */
  async prepare(transcript: string, checks: readonly Check[]): Promise<Prepared> {
    const { records, store, hsm, site, box } = this.#parts;
    const born = this.#dealt(transcript);
    await judgeChecks(checks, transcript, born.plan, records.current);
    const record = recordOfBirth(born.plan, born.dealt.deal);
    const name = this.#shelf.nameIn(record);
    if (name === undefined) throw new Refusal("NOT_A_HOLDER", `${box} is no holder in the record`);
    const hash = keyRecordHash(record);
    const vault = this.#shelf.vault();
    const sealed = await hsm.commitPiece({ id: born.planHash, vault, aad: atRestAad(site, name, hash) });
    const next = {
      state: "next" as const, record, prepared: [], generation: vault.generation,
      sealed: { iv: toBase64url(sealed.iv), ct: toBase64url(sealed.ct), tag: toBase64url(sealed.tag) },
    };
    await store.commit([this.#shelf.put(next)]);
    const readBack = this.#shelf.get(record.key, "next");
    const [opens] = readBack === undefined ? [] : await hsm.checkShards(this.#shelf.batch([readBack]));
    if (opens !== true) throw new Refusal("DEAL_REFUSED", `the share of ${record.key} does not open again at ${box}`);
    this.#born.delete(born.planHash);
    await hsm.closeReceiving({ id: born.planHash });
    return await signAs(this.#parts, "prepared", { record: hash, key: record.key, epoch: record.epoch, attempt: record.attempt });
  }

  /** Certificate P → ACTIVATED. Repeating it changes nothing and says the same. */
  async activate({ record, prepared }: CertifiedRecord): Promise<Activated> {
    const { records, store, box, log } = this.#parts;
    if (!isCertified(record, prepared, records.current)) throw new Refusal("CERTIFICATE_INVALID", `the record of ${record.key} is not certified by its holders`);
    const hash = keyRecordHash(record);
    const current = this.#shelf.get(record.key, "current");
    if (current === undefined || keyRecordHash(current.record) !== hash) {
      const next = this.#shelf.get(record.key, "next");
      if (next === undefined || keyRecordHash(next.record) !== hash) throw new Refusal("WRONG_RECORD", `${box} has not prepared this record of ${record.key}`);
      await store.commit(this.#shelf.activation(next, [...prepared]));
      log.info("key", { key: record.key, epoch: record.epoch, state: "current" });
    }
    return await signAs(this.#parts, "activated", { record: hash, key: record.key, epoch: record.epoch, attempt: record.attempt });
  }

  #of(planHash: string): Born {
    const born = this.#born.get(planHash);
    if (born === undefined) throw new Refusal("PLAN_REFUSED", `${this.#parts.box} has not joined this plan, or was restarted since`, { retryable: true });
    return born;
  }

  #dealt(transcript: string): Born & { readonly dealt: { readonly deal: Deal; readonly transcript: string } } {
    for (const born of this.#born.values()) {
      if (born.dealt?.transcript === transcript) return { ...born, dealt: born.dealt };
    }
    throw new Refusal("DEAL_REFUSED", `${this.#parts.box} knows no such deal, or was restarted since`, { retryable: true });
  }

  async #forgetOldest(): Promise<void> {
    const oldest = this.#born.size < mostBirths ? undefined : this.#born.keys().next().value;
    if (oldest === undefined) return;
    this.#born.delete(oldest);
    await this.#parts.hsm.closeReceiving({ id: oldest });
  }
}

