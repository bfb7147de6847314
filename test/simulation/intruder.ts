import { Exchange } from "../../agent/mqtt/exchange.ts";
import { CertificateCache } from "../../agent/protocol/envelope.ts";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { batchHash, participantsOf, type BatchActivated, type BatchBurn, type ReshardPlan } from "../../agent/protocol/reshard.ts";
import { statementHash, type Signed } from "../../agent/protocol/statement.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import type { Invariants } from "./invariants.ts";
import { neededForBurn, neededForD } from "./limits.ts";
import type { Attempted } from "./observed.ts";
import { Prng } from "./prng.ts";
import { roguePlan } from "./rogue-plan.ts";
import { siteName } from "./site.ts";
import { Life } from "./timeline.ts";
import { coordinatorId } from "./world.ts";

export const intruderName = "intruder";
type Step = Extract<keyof typeof boxRequests, `reshard-${string}`>;

/**
 * Whoever owns the coordinator's computer (design §2): beside the honest coordinator it speaks with the coordinator's
 * session and signs with its HSM. It knows all that was said, and asks boxes for what they must refuse.
 */
export class Intruder {
  readonly #invariants: Invariants;
  readonly #random: Prng;
  readonly #exchange: Exchange;

  constructor(seed: number, invariants: Invariants) {
    this.#invariants = invariants;
    this.#random = new Prng(seed, 3);
    const { site } = invariants;
    const { clock } = new Life(site.world.timeline);
    const transport = site.world.hub.connect(intruderName);
    void transport.subscribe(["shardkeep/v1/box/+/up/response"]);
    const bytes = { bytes: (length: number) => Uint8Array.from({ length }, () => this.#random.int(256)) };
    this.#exchange = new Exchange({
      transport, clock, random: bytes, log: silentLog, nonces: new NonceBook(clock, bytes),
      // The thief has the session of the moment.
      session: { get certificate() { return site.coordinator!.session.certificate; }, signer: { sign: (message) => site.coordinator!.session.signer.sign(message) } },
      reader: { site: siteName, self: coordinatorId, keyOf: (sender) => site.record.body.boxes.find(({ id }) => id === sender)?.key, certificates: new CertificateCache() },
      freshOf: (box) => site.coordinator?.freshOf(box),
      topicFor: (box, kind) => topic({ kind: "box", box, direction: "down", what: kind }),
    });
  }

  /** Each seed's has a few habits and a pace of its own: who does everything at once soon has nobody to talk to. */
  begin(): void {
    const { world } = this.#invariants.site;
    const all = [() => { this.#burn(); }, () => { this.#activate(); }, () => { this.#settle(); }, () => { this.#bury(); }, () => { this.#rogue(); }, () => { this.#again(); }];
    const habits = this.#random.some(all, 0.4);
    const pace = this.#random.pick([60, 300, 1500]);
    const again = (): void => {
      if (!world.stormy) return;
      this.#random.pick(habits)?.();
      world.timeline.after(this.#random.between(1, pace), again);
    };
    again();
  }

  /** Orders to burn, whatever has been shown. */
  #burn(): void {
    const attempted = this.#attempt();
    if (attempted === undefined) return;
    for (const { box } of this.#random.some(attempted.plan.body.holders, 0.5)) this.#ask("reshard-burn", box, { plan: attempted.plan });
  }

  /** Shows P, whole or with something missing. */
  #activate(): void {
    const attempted = this.#attempt();
    if (attempted === undefined) return;
    const whole = [...attempted.prepared.values()];
    const prepared = this.#random.chance(0.5) ? whole : this.#worse(whole, whole.length - 1);
    for (const { box } of this.#random.some(attempted.plan.body.holders, 0.5)) this.#ask("reshard-activate", box, { plan: statementHash(attempted.plan), prepared, proof: null });
  }

  #settle(): void {
    const attempted = this.#attempt();
    if (attempted === undefined) return;
    const { plan } = attempted;
    const some = [...attempted.activated.values()];
    const batch = some[0]?.body.batch ?? [...attempted.prepared.values()][0]?.body.batch ?? batchHash(siteName, statementHash(plan), []);
    const activated = this.#worse<BatchActivated>(some, neededForD(plan.body.holders.length) - 1);
    this.#ask("reshard-settle", this.#anybody(plan), { plan, batch, activated });
  }

  #bury(): void {
    const attempted = this.#attempt();
    if (attempted === undefined) return;
    const { plan } = attempted;
    const burns = this.#worse<BatchBurn>([...attempted.burn.values()], neededForBurn(plan.body.holders.length) - 1);
    this.#ask("reshard-bury", this.#anybody(plan), { plan, burns });
  }

  /** A plan that no box may join, or that it may join only now. */
  #rogue(): void {
    const { world } = this.#invariants.site;
    const plan = roguePlan(this.#random, this.#invariants);
    if (plan === undefined) return;
    void plan.then((signed) => {
      for (const box of this.#random.some(participantsOf(signed), 0.6)) {
        if (world.isUp(box)) this.#ask("reshard-join", box, { plan: signed, approval: null });
      }
    });
  }

  /** Asks a step again with other words than the first time. */
  #again(): void {
    const attempted = this.#attempt();
    if (attempted === undefined) return;
    const { plan } = attempted;
    const planHash = statementHash(plan);
    const box = this.#anybody(plan);
    const short = <S>(all: ReadonlyMap<string, S>): S[] => [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one).slice(this.#random.int(2));
    const other = this.#other(attempted);
    const acts = [
      () => { this.#ask("reshard-deal", box, { plan: planHash, joins: this.#random.chance(0.5) ? short(attempted.join) : [...other.join.values()] }); },
      () => { this.#ask("reshard-check", box, { plan: planHash, sealed: this.#random.chance(0.5) ? short(attempted.sealed) : [...other.sealed.values()] }); },
      () => { this.#ask("reshard-prepare", box, { plan: planHash, checks: this.#random.chance(0.5) ? short(attempted.check) : [...other.check.values()] }); },
    ];
    this.#random.pick(acts)!();
  }

  /**
   * What comes near a certificate: the few there are, one of them twice, one with a signature of another, those of
   * another attempt, or said by boxes that have no part in it.
   */
  #worse<S extends Signed<unknown>>(whole: readonly S[], most: number): S[] {
    const few = whole.slice(0, Math.max(0, most));
    const [one] = whole;
    switch (this.#random.int(4)) {
      case 0: return few;
      case 1: return one === undefined ? [] : [...few, ...Array.from({ length: 4 }, () => one)];
      case 2: return one === undefined ? [] : [...few, ...this.#invariants.site.record.body.boxes.filter(({ id }) => !few.some(({ by }) => by === id)).map(({ id }) => ({ ...one, by: id }))];
      default: {
        const others = [...this.#invariants.observed.attempts.values()].flatMap(({ activated, burn, prepared }) => [...activated.values(), ...burn.values(), ...prepared.values()]);
        const alike = others.filter((other) => one !== undefined && other.type === one.type && !few.some(({ by }) => by === other.by)) as unknown as S[];
        return [...few, ...alike];
      }
    }
  }

  #attempt(): Attempted | undefined {
    const all = [...this.#invariants.observed.attempts.values()];
    return this.#random.pick(this.#random.chance(0.3) ? all : all.slice(-2));
  }

  #other(not: Attempted): Attempted {
    return this.#random.pick([...this.#invariants.observed.attempts.values()].filter((one) => one !== not)) ?? not;
  }

  #anybody(plan: ReshardPlan): string {
    return this.#random.pick([...new Set([...participantsOf(plan), ...this.#invariants.site.world.weather.boxes])])!;
  }

  #ask(step: Step, box: string, data: unknown): void {
    this.#exchange.request(boxRequests, step, box, data as never, { deadlineMs: 1000 }).catch(() => undefined);
  }
}
