import type { Join } from "../../agent/protocol/key-record.ts";
import type { BatchActivated, BatchBurn, BatchDestroyed, BatchPrepared, ReshardCheck, ReshardDeal, ReshardPlan } from "../../agent/protocol/reshard.ts";
import { statementHash, type Signed } from "../../agent/protocol/statement.ts";
import type { Delivery } from "../support/memory-transport.ts";

/** What each box signed under one plan and let out: for all who listen on the network. */
export interface Attempted {
  readonly plan: ReshardPlan;
  readonly join: Map<string, Join>;
  readonly deal: Map<string, ReshardDeal>;
  readonly sealed: Map<string, Signed<{ readonly transcript: string }>>;
  readonly check: Map<string, ReshardCheck>;
  readonly prepared: Map<string, BatchPrepared>;
  readonly activated: Map<string, BatchActivated>;
  readonly burn: Map<string, BatchBurn>;
  readonly destroyed: Map<string, BatchDestroyed>;
}
export type Said = Exclude<keyof Attempted, "plan">;
const saids = ["join", "deal", "sealed", "check", "prepared", "activated", "burn", "destroyed"] as const satisfies readonly Said[];

interface Envelope { readonly body: { readonly type: string; readonly id: string; readonly re?: string; readonly data: unknown } }
interface Asked { readonly type: string; readonly plan: string; readonly by: string }
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

export interface Listener {
  /** A plan that is said for the first time, by whom it is sent. */
  onPlan(planHash: string, plan: ReshardPlan, from: string): void;
  /** A step's request leaves a coordinator, the site's own or the liar. */
  onAsked(type: string, planHash: string, from: string, to: string): void;
  /** A statement of a box, for the first time or another one than before. */
  onSaid(what: Said, planHash: string, box: string, isOther: boolean): void;
}

/** Reads every message as it is sent, whatever becomes of it. */
export class Observed {
  readonly attempts = new Map<string, Attempted>();
  readonly #asked = new Map<string, Asked>();
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  of(planHash: string): Attempted | undefined {
    return this.attempts.get(planHash);
  }

  /** Its type for the trace. */
  hear({ topic, payload, from, to }: Delivery): string {
    if (topic.endsWith("/heartbeat")) return "heartbeat";
    const { body } = JSON.parse(Buffer.from(payload).toString()) as Envelope;
    if (body.type.startsWith("request/reshard-")) this.#request(body, from, to);
    else if (body.type.startsWith("response/reshard-")) this.#response(body, from);
    return body.type;
  }

  #request({ type, id, data }: Envelope["body"], from: string, to: string): void {
    if (!isObject(data)) return;
    let name = data["plan"];
    if (isObject(name)) {
      const plan = name as unknown as ReshardPlan;
      name = statementHash(plan);
      if (!this.attempts.has(String(name))) {
        this.attempts.set(String(name), {
          plan, join: new Map(), deal: new Map(), sealed: new Map(), check: new Map(), prepared: new Map(), activated: new Map(), burn: new Map(), destroyed: new Map(),
        });
        this.#listener.onPlan(String(name), plan, from);
      }
    }
    if (typeof name !== "string") return;
    this.#asked.set(id, { type: type.slice("request/reshard-".length), plan: name, by: from });
    this.#listener.onAsked(type.slice("request/reshard-".length), name, from, to);
  }

  #response({ re, data }: Envelope["body"], from: string): void {
    const asked = this.#asked.get(re ?? "");
    const attempted = asked === undefined ? undefined : this.attempts.get(asked.plan);
    if (asked === undefined || attempted === undefined || !isObject(data) || !isObject(data["value"])) return;
    for (const what of saids) {
      const statement = data["value"][what];
      if (!isObject(statement)) continue;
      const said = attempted[what] as Map<string, Signed<unknown>>;
      const before = said.get(from);
      const one = statement as unknown as Signed<unknown>;
      if (before !== undefined && statementHash(before) === statementHash(one)) continue;
      said.set(from, one);
      this.#listener.onSaid(what, asked.plan, from, before !== undefined);
    }
  }
}
