import { clientRequests, type boxStatus } from "../protocol/messages.ts";
import type { BoxAnswer } from "../protocol/joining.ts";
import { topic } from "../protocol/topics.ts";
import type { z } from "zod";
import { approveBox, approveClient, enrolAt, enrolPerson, forgetAt, identifyBox, removeClient, removePerson, retireBox, setRecovery } from "./admin.ts";
import { Fleet } from "./fleet.ts";
import { InUse } from "./in-use.ts";
import { Invitations } from "./invitations.ts";
import { KeyShelf } from "./key-shelf.ts";
import { keyStatuses, pageOf, showKey } from "./key-status.ts";
import { Operations } from "./operations.ts";
import type { CoordinatorParts } from "./parts.ts";
import { Journal } from "./reshard/journal.ts";
import { SiteRecovery } from "./recovery.ts";
import { Resharder } from "./reshard/resharder.ts";
import { isWell } from "../rules/liveness.ts";
import { requireAdmin } from "../rules/policy.ts";
import { Tampers } from "./tampers.ts";

/** Births of boxes are answered with a heartbeat at once, but not more often than this. */
const leastBeatMs = 100;

/** The attestation service's logic: hears boxes, answers clients. Effects come in with {@link CoordinatorParts}. */
export class Coordinator {
  readonly invitations: Invitations;
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #operations: Operations;
  readonly #journal: Journal;
  readonly #resharder: Resharder;
  readonly #recovery: SiteRecovery;
  #counter = 0;
  #beatAt = -Infinity;
  #cancel: () => void = () => undefined;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.invitations = new Invitations(parts);
    this.#fleet = new Fleet(parts);
    this.#keys = new KeyShelf(parts);
    this.#journal = new Journal(parts.store);
    const inUse = new InUse();
    this.#resharder = new Resharder(parts, this.#fleet, this.#keys, this.#journal, inUse);
    this.#operations = new Operations(parts, this.#fleet, this.#keys, this.#resharder, inUse);
    this.#recovery = new SiteRecovery(parts, this.#fleet);
    const tampers = new Tampers(parts, this.#fleet);
    this.#fleet.onHeard((box, holdings) => { this.#keys.drive(box, holdings); });
    parts.site.onChange(() => {
      this.#fleet.announceRecord();
      void this.#publishRecord();
      void this.#forgetRetired();
    });
    parts.exchange.onEvent((name, data, { from, boot, fresh }) => {
      if (parts.site.kindOf(from) !== "box") return;
      if (name === "state") this.#fleet.hinted(from, boot, data);
      if (name === "event" && fresh) tampers.heard(from, data).catch((error: unknown) => { parts.log.error("tamper event not kept", { box: from, error: String(error) }); });
      if (name === "heartbeat" && fresh) this.#fleet.heard(from, boot, data);
      // A birth, or a beat without our nonce: that box has not heard us since our start or its own.
      else if (name === "state" || name === "heartbeat") this.#beat();
    });
    this.#serve();
  }

  /** Publishes the site record and the first heartbeat; on every connect again: nothing retained is relied on. */
  start(): void {
    const again = (): void => {
      this.#cancel = this.#parts.clock.after(this.#parts.config.heartbeatMs, again);
      this.#beat();
    };
    void this.#publishRecord();
    void this.#forgetRetired();
    again();
    this.#recovery.start();
    this.#fleet.start();
    this.#resharder.start();
  }

  stop(): void {
    this.#cancel();
    this.#recovery.stop();
    this.#fleet.stop();
    this.#resharder.stop();
  }

  freshOf(box: string): string | undefined {
    return this.#fleet.nonceOf(box);
  }

  #beat(): void {
    const { clock, exchange, nonces, site, log } = this.#parts;
    if (clock.now() - this.#beatAt < leastBeatMs) return;
    this.#beatAt = clock.now();
    const data = { counter: ++this.#counter, nonce: nonces.issue(), siteRecord: site.ref };
    exchange.tell(topic({ kind: "coordinator", what: "heartbeat" }), "coordinator", data).catch((error: unknown) => { log.warn("heartbeat", { error: String(error) }); });
  }

  async #publishRecord(): Promise<void> {
    const { exchange, site, log } = this.#parts;
    try {
      await exchange.tell(topic({ kind: "site", what: "record" }), "record", { record: site.current }, { retain: true, qos: 1 });
    } catch (error) {
      log.warn("site record not published", { error: String(error) });
    }
  }

  /** A challenge secret outlives its box nowhere; what a crash has left is found again at the next start. */
  async #forgetRetired(): Promise<void> {
    const { hsm, site, log } = this.#parts;
    try {
      for (const box of site.current.body.retired ?? []) await hsm.removeChallengeSecret({ box });
    } catch (error) {
      log.warn("challenge secret not removed", { error: String(error) });
    }
  }

  async #approve(request: unknown): Promise<BoxAnswer> {
    const answer = await approveBox(this.#parts, request);
    this.invitations.answered(answer);
    return answer;
  }

  #serve(): void {
    const parts = this.#parts;
    const { site, nonces } = parts;
    const admin = (from: string): void => { requireAdmin(site.current.body, from); };
    parts.exchange.serve(clientRequests, {
      hello: ({ nonce }) => Promise.resolve({ nonce, fresh: nonces.issue(), record: site.current }),
      use: ({ use }, call) => this.#operations.use(use, call.from, call.part),
      payload: async ({ request, payload }, call) => { await this.#operations.payload(request, call.from, payload); return {}; },
      cancel: ({ request }, call) => { this.#operations.cancel(request, call.from); return Promise.resolve({}); },
      status: ({ after }) => Promise.resolve(this.#status(after)),
      "key-show": ({ key }) => showKey(this.#keys, this.#journal, key),
      "key-reshard": async ({ key }, call) => { admin(call.from); return { record: await this.#resharder.order(key) }; },
      "box-approve": async ({ request }, call) => { admin(call.from); return { answer: await this.#approve(request) }; },
      "box-invite": ({ box, forMs, recipient }, call) => { admin(call.from); return Promise.resolve({ code: this.invitations.invite(box, forMs, recipient) }); },
      "box-invited": ({ box }, call) => { admin(call.from); return Promise.resolve({ request: this.invitations.requestOf(box) ?? null }); },
      "box-uninvite": ({ box }, call) => { admin(call.from); this.invitations.end(box); return Promise.resolve({}); },
      "client-approve": async (data, call) => { admin(call.from); return await approveClient(parts, data); },
      "site-apply": async ({ policy }, call) => { admin(call.from); return { record: await site.apply(policy) }; },
      "site-seal": async (_data, call) => { admin(call.from); return { record: await site.seal() }; },
      "record-change": async ({ use, body }, call) => { admin(call.from); return { record: await this.#operations.changeRecord(use, body, call.from, call.part) }; },
      "record-chain": ({ after }) => Promise.resolve({ chain: site.after(after) }),
      "finger-enrol": async ({ person, finger, box }, call) => { admin(call.from); return await enrolAt(parts, this.#fleet, box, person, finger, call.part); },
      "finger-forget": async ({ person, finger, box }, call) => { admin(call.from); return await forgetAt(parts, this.#fleet, box, person, finger); },
      "person-enrol": async (data, call) => { admin(call.from); return await enrolPerson(parts, this.#fleet, data, call.part); },
      "box-pause": async ({ box, forMs }, call) => { admin(call.from); return { state: await this.#fleet.pause(box, forMs) }; },
      "box-resume": async ({ box }, call) => { admin(call.from); return { state: await this.#fleet.resume(box) }; },
      "box-retire": async ({ box }, call) => { admin(call.from); return { record: await retireBox(parts, this.#fleet, box) }; },
      "client-remove": async ({ client }, call) => { admin(call.from); return { record: await removeClient(parts, client) }; },
      "box-identify": async ({ box, forMs }, call) => { admin(call.from); return await identifyBox(parts, this.#fleet, box, forMs); },
      "recovery-key": async ({ recovery }, call) => { admin(call.from); return { record: await setRecovery(parts, recovery) }; },
      "site-recover": ({ body, recovery }) => this.#recovery.ask(body, recovery),
      "person-remove": async ({ person }, call) => { admin(call.from); return { record: await removePerson(parts, person) }; },
    });
  }

  #status(after?: string): z.infer<typeof clientRequests.status.response> {
    const { site, config } = this.#parts;
    const { body } = site.current;
    return {
      site: config.site, coordinator: config.coordinator, siteRecord: site.ref, sealed: body.sealed,
      boxes: body.boxes.map(({ id, zone }) => this.#boxStatus(id, zone)),
      ...pageOf(keyStatuses(this.#keys, this.#journal, this.#resharder, (box) => this.#fleet.isLive(box)), after),
      operations: this.#operations.count,
      hold: this.#fleet.hold ? "our-network" : null,
      recovery: this.#recovery.status,
    };
  }

  #boxStatus(box: string, zone: string): z.infer<typeof boxStatus> {
    const beat = this.#fleet.beatOf(box);
    const hsm = beat === undefined ? "unknown" : beat.hsm.ok ? beat.hsm.backing : beat.hsm.detail ?? "fault";
    return {
      box, zone, state: this.#fleet.liveness(box), hsm, sensor: beat?.sensor.state ?? "unknown", emulated: beat?.sensor.emulated ?? false,
      holdings: this.#fleet.holdingsOf(box).length, siteRecord: beat?.siteRecord?.version ?? 0,
      sinceMs: Math.round(this.#fleet.sinceMs(box)),
      panel: beat === undefined ? "unknown" : beat.panel?.state ?? "none", panelEmulated: beat?.panel?.emulated ?? false, degraded: beat !== undefined && !isWell(beat),
      recoveryMs: beat?.recovery?.leftMs ?? null,
    };
  }
}
