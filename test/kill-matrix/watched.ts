import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { z } from "zod";
import type { Hsm } from "../../agent/hsm/client.ts";
import type { Change, Store } from "../../agent/store/store.ts";
import { hooked } from "../support/memory-store.ts";

/** What the matrix tells a party: where it is to end, and by which signal. SIGSTOP leaves it for a power cut. */
export const armed = z.strictObject({ when: z.enum(["before", "after"]), call: z.string(), nth: z.int(), signal: z.enum(["SIGKILL", "SIGSTOP"]) });

/** Beside the party's configuration, not in its state: an order to the party, and what it passed. */
export const orderFile = (config: string): string => `${config}.armed`;
export const passedFile = (config: string): string => `${config}.passed`;

const ofStage = z.looseObject({ stage: z.string().optional(), phase: z.string().optional() });

/** What a commit makes durable, in one word or two: the same for the same step of every re-shard. */
function nameOfCommit(changes: readonly Change[]): string {
  for (const change of changes) {
    if (!("put" in change)) continue;
    if (/^reshard\//.test(change.put)) {
      const { stage, phase } = ofStage.parse(JSON.parse(new TextDecoder().decode(change.value)));
      return `commit ${stage ?? phase ?? "reshard"}`;
    }
    if (change.put === "vault") return "commit resealed";
    if (change.put.startsWith("reshard-destroyed/")) return "commit destroyed";
  }
  const [first] = changes;
  if (first === undefined) return "commit nothing";
  return "put" in first ? `commit ${first.put}` : `commit without ${first.del}`;
}

/** Store and HSM of a party that ends itself where it is told to. */
export function watched({ store, hsm }: { readonly store: Store; readonly hsm: Hsm }, config: string): { store: Store; hsm: Hsm } {
  let order = "";
  let seen = 0;
  const pass = (when: "before" | "after", call: string): void => {
    appendFileSync(passedFile(config), `${when} ${call}\n`);
    if (!existsSync(orderFile(config))) return;
    const text = readFileSync(orderFile(config), "utf8");
    if (text !== order) {
      order = text;
      seen = 0;
    }
    const wanted = armed.parse(JSON.parse(text));
    if (wanted.when !== when || wanted.call !== call || ++seen < wanted.nth) return;
    rmSync(orderFile(config));
    process.kill(process.pid, wanted.signal);
  };
  const around = <A, R>(call: string, body: (args: A) => Promise<R>) => async (args: A): Promise<R> => {
    pass("before", call);
    const result = await body(args);
    pass("after", call);
    return result;
  };
  return {
    store: hooked(store, {
      before: (_commit, changes) => { pass("before", nameOfCommit(changes)); },
      after: (_commit, changes) => { pass("after", nameOfCommit(changes)); },
    }),
    hsm: Object.assign(Object.create(hsm) as Hsm, {
      createSealKey: around("createSealKey", (args: { generation: number }) => hsm.createSealKey(args)),
      destroySealKey: around("destroySealKey", (args: { generation: number }) => hsm.destroySealKey(args)),
    }),
  };
}
