import type { Client } from "../agent/client/index.ts";
import { recordTarget } from "../agent/protocol/request.ts";
import { requireAdmin, ruleFor } from "../agent/rules/policy.ts";
import { checkContent } from "../agent/rules/record.ts";
import { nextBody, type Edit } from "../agent/rules/record-edits.ts";
import { operationFor } from "../agent/rules/record-step.ts";
import { changesInWords } from "../agent/rules/record-words.ts";
import { outBy, proposeReshard, type BoxView, type Wish } from "../agent/rules/reshard/propose.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { connected } from "./connected.ts";
import { foretold } from "./dry-run.ts";
import { sensorsFor } from "./record-change.ts";
import { failedStep, noteStep, type Step } from "./steps.ts";

/** The dry run of an administrator's command: its steps as they come, from what the coordinator tells; ends this process. */
export async function foresee(options: { readonly client: string; readonly json: boolean }, others: object, steps: (one: Client) => AsyncIterable<Step> | Iterable<Step>): Promise<never> {
  const seen = await connected(options.client, async (one) => {
    requireAdmin(one.record.body, one.config.client);
    const all: Step[] = [];
    for await (const step of steps(one)) {
      all.push(step);
      noteStep(step);
    }
    return all;
  });
  return foretold(options.json, seen, others);
}

interface RecordStep extends Step {
  /** In words. */
  readonly changes?: readonly string[];
}

/** The next version of the record, judged as every box will judge it, and whose fingers are wanted for it, at which boxes. */
export function foreseeRecord({ record, config: { client } }: Pick<Client, "record" | "config">, edit: Edit, step = "record"): RecordStep {
  const body = nextBody(record, edit);
  const changes = changesInWords(record.body, body);
  if (changes.length === 0) return { step, state: "ok", version: record.body.version };
  try {
    checkContent(record, body);
    return { step, state: "would change", version: body.version, changes, ...(record.body.sealed ? { wanted: wanted(body) } : {}) };
  } catch (error) {
    return failedStep(step, error);
  }

  function wanted(next: typeof body): string[] {
    const { key, resource } = recordTarget;
    const rule = ruleFor(record.body, key, operationFor(record, next), resource);
    if (rule === undefined) throw new ShardkeepError("NOT_PERMITTED", "no rule of the site lets people change its record");
    return sensorsFor(record, rule, client);
  }
}

/** By an order, and by nothing that the coordinator alone knows. */
const plain: Omit<Wish, "zonesLimited"> = { due: null, mayChange: true, avoid: new Set(), suspect: null, gaveUp: false, suspicion: new Map() };

/** How the keys of a box come to others when it is cut out, by the rules by which the coordinator will choose (docs/resharding.md). */
export async function foreseeReshard(one: Client, box: string, joining?: { readonly id: string; readonly zone: string }): Promise<Step> {
  const { boxes, keys } = await one.status();
  const held = keys.filter(({ holders }) => holders.includes(box));
  if (held.length === 0) return { step: "re-sharding", state: "ok" };
  const views: BoxView[] = boxes.map(({ box: id, zone, state }) => (
    { box: id, zone, live: state === "ready", steady: state === "ready", out: id === box ? "quarantined" : outBy(state) }));
  if (joining !== undefined && !boxes.some(({ box: id }) => id === joining.id)) views.push({ box: joining.id, zone: joining.zone, live: true, steady: true, out: null });
  const toProve: string[] = [];
  const wish = { ...plain, zonesLimited: one.record.body.noZoneHoldsThreshold === true };
  for (const { key } of held) {
    const { record } = await one.request("key-show", { key });
    const proposal = proposeReshard(record, views, wish);
    // With no more witnesses than the threshold its new shards are proven by a use (protocol.md §7).
    if (proposal.kind === "plan" && proposal.witnesses.length === record.threshold) toProve.push(key);
    // A holder that is only away comes back by itself.
    if (proposal.kind === "hold" && proposal.why !== "absent") {
      return failedStep("re-sharding", new ShardkeepError("RESHARD_HELD", `${key} would be held, ${proposal.why}`, { remedy: `join another box first, or \`shardkeep key reshard ${key} --size\` (docs/operations.md)` }));
    }
  }
  return { step: "re-sharding", state: "would change", keys: held.length, ...(toProve.length === 0 ? {} : { "then to be used once": toProve }) };
}
