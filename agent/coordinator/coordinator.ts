import { clientRequests, type boxStatus, type keyStatus } from "../protocol/messages.ts";
import { keyRecordHash } from "../protocol/key-record.ts";
import { topic } from "../protocol/topics.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { z } from "zod";
import { approveBox, approveClient, enrolPerson, removePerson, requireAdmin } from "./admin.ts";
import { Fleet } from "./fleet.ts";
import { KeyShelf } from "./key-shelf.ts";
import { Operations } from "./operations.ts";
import type { CoordinatorParts } from "./parts.ts";

/** Births of boxes are answered with a heartbeat at once, but not more often than this. */
const leastBeatMs = 100;

/** The attestation service's logic: hears boxes, answers clients. Effects come in with {@link CoordinatorParts}. */
export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #operations: Operations;
  #counter = 0;
  #beatAt = -Infinity;
  #cancel: () => void = () => undefined;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#fleet = new Fleet(parts);
    this.#keys = new KeyShelf(parts);
    this.#operations = new Operations(parts, this.#fleet, this.#keys);
    this.#fleet.onHeard((box, holdings) => { this.#keys.drive(box, holdings); });
    parts.site.onChange(() => {
      void this.#fleet.announceRecord();
      void this.#publishRecord();
    });
    parts.exchange.onEvent((name, data, { from, boot, fresh }) => {
      if (parts.site.kindOf(from) !== "box") return;
      if (name === "state") this.#fleet.hinted(from, boot, data);
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
    again();
    this.#fleet.start();
  }

  stop(): void {
    this.#cancel();
    this.#fleet.stop();
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

  #serve(): void {
    const parts = this.#parts;
    const { site, nonces } = parts;
    const admin = (from: string): void => { requireAdmin(parts, from); };
    parts.exchange.serve(clientRequests, {
      hello: ({ nonce }) => Promise.resolve({ nonce, fresh: nonces.issue(), record: site.current }),
      use: ({ use }, call) => this.#operations.use(use, call.from, call.part),
      payload: async ({ request, payload }, call) => { await this.#operations.payload(request, call.from, payload); return {}; },
      cancel: ({ request }, call) => { this.#operations.cancel(request, call.from); return Promise.resolve({}); },
      status: () => Promise.resolve(this.#status()),
      "key-show": ({ key }) => {
        const certified = this.#keys.get(key);
        if (certified === undefined) return Promise.reject(new ShardkeepError("UNKNOWN_KEY", `there is no key ${key}`, { remedy: "shardkeep key list" }));
        return Promise.resolve(certified);
      },
      "box-approve": async ({ request }, call) => { admin(call.from); return { answer: await approveBox(parts, request) }; },
      "client-approve": async (data, call) => { admin(call.from); return await approveClient(parts, data); },
      "site-apply": async ({ policy }, call) => { admin(call.from); return { record: await site.apply(policy) }; },
      "site-seal": async (_data, call) => { admin(call.from); return { record: await site.seal() }; },
      "person-enrol": async (data, call) => { admin(call.from); return await enrolPerson(parts, this.#fleet, data, call.part); },
      "box-pause": async ({ box, forMs }, call) => { admin(call.from); return { state: await this.#fleet.pause(box, forMs) }; },
      "box-resume": async ({ box }, call) => { admin(call.from); return { state: await this.#fleet.resume(box) }; },
      "person-remove": async ({ person }, call) => { admin(call.from); return { record: await removePerson(parts, this.#fleet, person) }; },
    });
  }

  #status(): z.infer<typeof clientRequests.status.response> {
    const { site, config } = this.#parts;
    const { body } = site.current;
    return {
      site: config.site, coordinator: config.coordinator, siteRecord: site.ref, sealed: body.sealed,
      boxes: body.boxes.map(({ id, zone }) => this.#boxStatus(id, zone)),
      keys: this.#keys.all().map((certified): z.infer<typeof keyStatus> => {
        const { key, kind, epoch, threshold, holders, imported } = certified.record;
        const boxes = holders.map(({ box }) => box);
        return { key, kind, epoch, threshold, holders: boxes, live: boxes.filter((box) => this.#fleet.isLive(box)).length, record: keyRecordHash(certified.record), imported: imported !== null };
      }),
      operations: this.#operations.count,
      hold: this.#fleet.hold ? "our-network" : null,
    };
  }

  #boxStatus(box: string, zone: string): z.infer<typeof boxStatus> {
    const beat = this.#fleet.beatOf(box);
    const hsm = beat === undefined ? "unknown" : beat.hsm.ok ? beat.hsm.backing : beat.hsm.detail ?? "fault";
    return {
      box, zone, state: this.#fleet.liveness(box), hsm, sensor: beat?.sensor.state ?? "unknown", emulated: beat?.sensor.emulated ?? false,
      holdings: this.#fleet.holdingsOf(box).length, siteRecord: beat?.siteRecord?.version ?? 0,
      sinceMs: Math.round(this.#fleet.sinceMs(box)),
    };
  }
}
