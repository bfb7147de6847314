import type { Approval } from "../../agent/protocol/approval.ts";
import type { Join, KeyRecord, SealedStatement } from "../../agent/protocol/key-record.ts";
import type { Sealed } from "../../agent/protocol/primitives.ts";
import { batchHash, participantsOf, type BatchActivated, type BatchBurn, type BatchPrepared, type BatchResolved, type ProvedUse, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../agent/protocol/reshard.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { hashesOf, recordsOf } from "../../agent/rules/reshard/deal.ts";
import { planKeyOf } from "../rules/reshard/support.ts";
import { boot } from "../rules/support/site.ts";
import { recovery } from "./reshard-approval.ts";
import { site, type FleetBox, type ReshardFleet } from "./reshard-fleet.ts";

/** One attempt driven by hand: each step asks everybody whom it concerns and keeps what they said. */
export class HandAttempt {
  readonly fleet: ReshardFleet;
  readonly plan: ReshardPlan;
  readonly planHash: string;
  joins: Join[] = [];
  dealt: { readonly deal: ReshardDeal; readonly pieces: readonly Sealed[] }[] = [];
  sealed: SealedStatement[] = [];
  checks: ReshardCheck[] = [];
  prepared: BatchPrepared[] = [];

  private constructor(fleet: ReshardFleet, plan: ReshardPlan) {
    [this.fleet, this.plan, this.planHash] = [fleet, plan, statementHash(plan)];
  }

  /** A plan for `records`, which have the same holders: refreshed by all of them, or what `change` says. */
  static async of(fleet: ReshardFleet, records: readonly KeyRecord[], change: Partial<ReshardPlan["body"]> = {}, attempt?: number): Promise<HandAttempt> {
    const [{ threshold, size, margin, holders }] = records as readonly [KeyRecord];
    const all = holders.map(({ box, x }) => ({ box, x }));
    const plan = await signStatement({ sign: (message) => fleet.coordinatorHsm.sign("identity", message) }, "reshard-plan", site, "coordinator", {
      keys: records.map((record) => planKeyOf(record, attempt)), kind: "aes-256" as const, threshold, nextThreshold: threshold, size, margin,
      dealers: all.slice(0, threshold), witnesses: all, holders: all, reason: "period" as const, request: null, ...change,
    });
    return new HandAttempt(fleet, plan);
  }

  get everybody(): FleetBox[] { return participantsOf(this.plan).map((box) => this.fleet.box(box)); }
  get holders(): FleetBox[] { return this.plan.body.holders.map(({ box }) => this.fleet.box(box)); }
  get deals(): ReshardDeal[] { return this.dealt.map(({ deal }) => deal); }
  get records(): KeyRecord[] { return recordsOf(this.plan, this.checks); }
  get batch(): string { return batchHash(site, this.planHash, hashesOf(this.records)); }

  async join(approval: Approval | null = null): Promise<this> {
    this.joins = await Promise.all(this.everybody.map(({ reshards }) => reshards.join(this.plan, approval, boot)));
    return this;
  }

  async deal(): Promise<this> {
    this.dealt = await Promise.all(this.plan.body.dealers.map(({ box }) => this.fleet.box(box).reshards.deal(this.planHash, this.joins)));
    return this;
  }

  piecesFor(box: string): { holder: Sealed | null; witness: Sealed | null }[] {
    return this.dealt.map(({ deal, pieces }) => {
      const of = (role: string): Sealed | null => pieces[deal.body.pieces.findIndex((one) => one.box === box && one.role === role)] ?? null;
      return { holder: of("holder"), witness: of("witness") };
    });
  }

  async seal(): Promise<this> {
    this.sealed = await Promise.all(this.everybody.map(({ id, reshards }) => reshards.seal(this.planHash, this.joins, this.deals, this.piecesFor(id))));
    return this;
  }

  async check(): Promise<this> {
    this.checks = await Promise.all(this.everybody.map(({ reshards }) => reshards.check(this.planHash, this.sealed)));
    return this;
  }

  async prepare(): Promise<this> {
    this.prepared = await Promise.all(this.holders.map(({ reshards }) => reshards.prepare(this.planHash, this.checks)));
    return this;
  }

  /** JOIN to PREPARED. */
  async toPrepared(approval: Approval | null = null): Promise<this> {
    await this.join(approval);
    await this.deal();
    await this.seal();
    await this.check();
    return await this.prepare();
  }

  activate(boxes: readonly FleetBox[] = this.holders, proof: ProvedUse | null = null): Promise<BatchActivated[]> {
    return Promise.all(boxes.map(({ reshards }) => reshards.activate(this.planHash, this.prepared, proof)));
  }

  burn(boxes: readonly FleetBox[] = this.holders): Promise<BatchBurn[]> {
    return Promise.all(boxes.map(({ reshards }) => reshards.burn(this.plan)));
  }

  settle(activated: readonly BatchActivated[], boxes: readonly FleetBox[] = this.everybody) {
    return Promise.all(boxes.map(({ reshards }) => reshards.settle({ plan: this.plan, batch: this.batch, activated: [...activated] })));
  }

  /** Each box's answer to people who named these gone. */
  async resolve(boxes: readonly FleetBox[], gone: readonly string[]): Promise<BatchResolved[]> {
    const approval = await recovery(this.fleet, this.plan, gone);
    return await Promise.all(boxes.map(async ({ reshards }) => (await reshards.resolve(this.plan, approval)).resolved));
  }

  bury(burns: readonly BatchBurn[], boxes: readonly FleetBox[] = this.everybody) {
    return Promise.all(boxes.map(({ reshards }) => reshards.bury({ plan: this.plan, burns: [...burns] })));
  }
}
