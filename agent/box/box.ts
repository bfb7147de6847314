import { coordinatorHeartbeat } from "../protocol/heartbeat.ts";
import { keyRecordHash } from "../protocol/key-record.ts";
import { boxRequests } from "../protocol/messages.ts";
import { Refusal } from "../rules/refusal.ts";
import { Turns } from "../runtime/turns.ts";
import { RecoveryWait } from "../store/recovery-wait.ts";
import { Approvals } from "./approval.ts";
import { Attempts } from "./attempts.ts";
import { Births } from "./birth.ts";
import type { BoxConfig } from "./config.ts";
import { Enrolments } from "./enrolment.ts";
import { Generations } from "./generations.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Holder } from "./holder.ts";
import { Identify } from "./identify.ts";
import type { BoxParts } from "./parts.ts";
import { Probe } from "./probe.ts";
import { Prompts } from "./prompts.ts";
import { Requests } from "./requests.ts";
import { Reshards } from "./reshard.ts";
import { Shelf } from "./shelf.ts";
import { Tamper } from "./tamper.ts";

/** What of its configuration the logic goes by. */
export type BoxSettings = Pick<BoxConfig, "heartbeatMs" | "reshardWindowMs">;

/** The edge agent's logic: answers its coordinator, and nobody else. Effects come in with {@link BoxParts}. */
export class Box {
  readonly #heartbeat: Heartbeat;
  readonly #reshards: Reshards;
  readonly #recovery: RecoveryWait;

  /** `onNonce` is told the coordinator's latest nonce: what we send it is fresh by that. */
  constructor(parts: BoxParts, { heartbeatMs, reshardWindowMs }: BoxSettings, onNonce: (nonce: string) => void) {
    const shelf = new Shelf(parts.store, parts.site, parts.box);
    const requests = new Requests(parts.clock);
    const prompts = new Prompts(parts, requests);
    const attempts = new Attempts(parts.store, parts.clock, reshardWindowMs, (isAnyOpen) => { parts.panel?.reshards(isAnyOpen); });
    const holder = new Holder(parts, shelf, requests, attempts);
    const births = new Births(parts, shelf);
    // Births store shards too, and none may be stored while a seal generation changes.
    const turns = new Turns();
    const reshards = new Reshards(
      parts, shelf, attempts, new Generations(parts, shelf), new Approvals(parts, requests), turns,
      ({ record }) => holder.isUsing(keyRecordHash(record)),
    );
    this.#reshards = reshards;
    const enrolments = new Enrolments(parts);
    const tamper = new Tamper(parts, () => { void prompts.cancelAll(); });
    parts.records.onChange((before, after) => {
      void enrolments.follow(before, after);
      tamper.look();
    });
    const probe = new Probe(parts, shelf);
    const identify = new Identify(parts);
    this.#recovery = new RecoveryWait(parts.records, parts);
    this.#heartbeat = new Heartbeat(parts, shelf, probe, tamper, this.#recovery, heartbeatMs);
    parts.exchange.serve(boxRequests, tamper.guard<typeof boxRequests>({
      record: ({ chain }) => parts.records.follow(chain),
      prompt: async ({ fields, next }, call) => ({ evidence: await prompts.prompt(fields, next, call.boot, call.part) }),
      "prompt-cancel": async ({ digest }) => { await prompts.cancel(digest); return {}; },
      challenge: async ({ fields, evidence, nonce }, call) => ({ mac: await holder.challenge(fields, evidence, nonce, call.boot) }),
      release: async ({ digest }) => ({ shard: await holder.release(digest) }),
      "birth-join": async ({ plan }) => ({ join: await births.join(plan) }),
      "birth-deal": async ({ fields, evidence, plan, joins, deal }, call) => ({ sealed: await births.deal(fields, evidence, plan, joins, deal, call.boot) }),
      "birth-check": async ({ transcript, sealed }) => ({ check: await births.check(transcript, sealed) }),
      "birth-prepare": async ({ transcript, checks }) => ({ prepared: await turns.run(() => births.prepare(transcript, checks)) }),
      activate: async (certified) => ({ activated: await turns.run(() => births.activate(certified)) }),
      "operation-over": ({ digest }) => { holder.end(digest); return Promise.resolve({}); },
      "reshard-join": async ({ plan, approval }, call) => ({ join: await reshards.join(plan, approval, call.boot) }),
      "reshard-deal": ({ plan, joins }) => reshards.deal(plan, joins),
      "reshard-seal": async ({ plan, joins, deals, pieces }) => ({ sealed: await reshards.seal(plan, joins, deals, pieces) }),
      "reshard-check": async ({ plan, sealed }) => ({ check: await reshards.check(plan, sealed) }),
      "reshard-prepare": async ({ plan, checks }) => ({ prepared: await reshards.prepare(plan, checks) }),
      "reshard-activate": async ({ plan, prepared, proof }) => ({ activated: await reshards.activate(plan, prepared, proof) }),
      "reshard-settle": async (settlement) => ({ destroyed: await reshards.settle(settlement) }),
      "reshard-burn": async ({ plan }) => ({ burn: await reshards.burn(plan) }),
      "reshard-reveal": async ({ plan, check }) => ({ ephemeral: await reshards.reveal(plan, check) }),
      "reshard-resolve": ({ plan, approval }) => reshards.resolve(plan, approval),
      "reshard-bury": async (burial) => ({ destroyed: await reshards.bury(burial) }),
      quarantine: async ({ box, reason, since, counter }) => {
        if (box !== parts.box) await parts.records.quarantine(box, reason, since);
        else if (since === undefined || !await tamper.acknowledge(counter, since)) throw new Refusal("QUARANTINED", `${box} is told of its own quarantine by the record only`);
        return {};
      },
      enrol: ({ person, finger }, call) => enrolments.enrol(person, finger, call.part),
      probe: ({ nonce }) => probe.answer(nonce),
      identify: ({ forMs }) => identify.begin(forMs),
      unenrol: async ({ person, finger }) => { await enrolments.unenrol(person, finger); return {}; },
    }));
    // The coordinator's word gives the first fresh nonce: answer it at once, so that a start is not a wait.
    let heard = "";
    parts.exchange.onEvent((name, data, { boot }) => {
      const beat = name === "coordinator" ? coordinatorHeartbeat.safeParse(data) : undefined;
      if (beat?.success !== true) return;
      onNonce(beat.data.nonce);
      this.#heartbeat.heard();
      if (boot === heard) return;
      heard = boot;
      this.#heartbeat.greet().catch((error: unknown) => { parts.log.warn("heartbeat", { error: String(error) }); });
    });
  }

  start(): void {
    this.#reshards.start();
    this.#recovery.start();
    this.#heartbeat.start();
  }

  stop(): void {
    this.#recovery.stop();
    this.#heartbeat.stop();
  }
}
