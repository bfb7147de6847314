import { coordinatorHeartbeat } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { Refusal } from "../rules/refusal.ts";
import { Births } from "./birth.ts";
import { enrol, unenrol } from "./enrolment.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Holder } from "./holder.ts";
import type { BoxParts } from "./parts.ts";
import { Probe } from "./probe.ts";
import { Prompts } from "./prompts.ts";
import { Requests } from "./requests.ts";
import { Shelf } from "./shelf.ts";

/** The edge agent's logic: answers its coordinator, and nobody else. Effects come in with {@link BoxParts}. */
export class Box {
  readonly #heartbeat: Heartbeat;

  /** `onNonce` is told the coordinator's latest nonce: what we send it is fresh by that. */
  constructor(parts: BoxParts, heartbeatMs: number, onNonce: (nonce: string) => void) {
    const shelf = new Shelf(parts.store, parts.site, parts.box);
    const requests = new Requests(parts.clock);
    const prompts = new Prompts(parts, requests);
    const holder = new Holder(parts, shelf, requests);
    const births = new Births(parts, shelf);
    const probe = new Probe(parts, shelf);
    this.#heartbeat = new Heartbeat(parts, shelf, probe, heartbeatMs);
    parts.exchange.serve(boxRequests, {
      record: ({ chain }) => parts.records.follow(chain),
      prompt: async ({ fields }, call) => ({ evidence: await prompts.prompt(fields, call.boot, call.part) }),
      "prompt-cancel": async ({ digest }) => { await prompts.cancel(digest); return {}; },
      challenge: async ({ fields, evidence, nonce }, call) => ({ mac: await holder.challenge(fields, evidence, nonce, call.boot) }),
      release: async ({ digest }) => ({ shard: await holder.release(digest) }),
      "birth-join": async ({ plan }) => ({ join: await births.join(plan) }),
      "birth-deal": async ({ fields, evidence, plan, joins, deal }, call) => ({ sealed: await births.deal(fields, evidence, plan, joins, deal, call.boot) }),
      "birth-check": async ({ transcript, sealed }) => ({ check: await births.check(transcript, sealed) }),
      "birth-prepare": async ({ transcript, checks }) => ({ prepared: await births.prepare(transcript, checks) }),
      activate: async (certified) => ({ activated: await births.activate(certified) }),
      quarantine: async ({ box, reason }) => {
        if (box === parts.box) throw new Refusal("QUARANTINED", `${box} is told of its own quarantine by the record only`);
        await parts.records.quarantine(box, reason);
        return {};
      },
      enrol: ({ person, finger }, call) => enrol(parts, person, finger, call.part),
      probe: ({ nonce }) => probe.answer(nonce),
      unenrol: async ({ person, finger }) => { await unenrol(parts, person, finger); return {}; },
    });
    // The coordinator's word gives the first fresh nonce: answer it at once, so that a start is not a wait.
    let heard = "";
    parts.exchange.onEvent((name, data, { boot }) => {
      const beat = name === "coordinator" ? coordinatorHeartbeat.safeParse(data) : undefined;
      if (beat?.success !== true) return;
      onNonce(beat.data.nonce);
      if (boot === heard) return;
      heard = boot;
      this.#heartbeat.beat().catch((error: unknown) => { parts.log.warn("heartbeat", { error: String(error) }); });
    });
  }

  start(): void {
    this.#heartbeat.start();
  }

  stop(): void {
    this.#heartbeat.stop();
  }
}
