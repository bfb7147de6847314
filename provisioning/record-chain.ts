import type { Client } from "../agent/client/index.ts";
import { refOf, type SiteRecord } from "../agent/protocol/site-record.ts";
import { walkChain } from "../agent/rules/record-step.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";

/** How one version came to be. */
export interface ChainStep {
  readonly version: number;
  readonly hash: string;
  readonly sealed: boolean;
  /** Whose evidence it carries, and where; null where the authority's signature alone was enough. */
  readonly approval: { readonly client: string; readonly reason: string; readonly people: readonly { readonly person: string; readonly box: string }[] } | null;
  /** Made with the recovery key, in place of people. */
  readonly recovery: boolean;
}

function stepOf(record: SiteRecord): ChainStep {
  const { approval, recovery, body: { sealed } } = record;
  return {
    ...refOf(record), sealed, recovery: recovery !== undefined, approval: approval === undefined ? null : {
      client: approval.fields.use.by, reason: approval.fields.use.body.reason, people: approval.evidence.map(({ by, body: { person } }) => ({ person, box: by })),
    },
  };
}

export function stepLine({ version, hash, sealed, approval, recovery }: ChainStep): string {
  const who = approval === null ? recovery ? "the recovery key" : "the authority alone" : `${approval.people.map(({ person, box }) => `${person} at ${box}`).join(", ")} for ${approval.client}: ${approval.reason}`;
  return `${version} ${hash}${sealed ? "" : " unsealed"}, by ${who}`;
}

async function chainAfter(client: Client, after: number): Promise<SiteRecord[]> {
  const { chain } = await client.request("record-chain", { after });
  const last = chain.at(-1)?.body.version ?? after;
  return last <= after || last >= client.record.body.version ? chain : [...chain, ...await chainAfter(client, last)];
}

/**
 * Every version that the coordinator has, walked here as a box walks it, up to the one that this client works with: who
 * was in quarantine when is not known here. Throws as rules/record-step.ts does.
 */
export async function provenChain(client: Client): Promise<ChainStep[]> {
  const [first, ...rest] = await chainAfter(client, 0);
  const { version, hash } = refOf(client.record);
  const all = first === undefined ? [] : [first, ...rest];
  if (first !== undefined) walkChain(first, rest, () => false);
  if (!all.some((one) => refOf(one).hash === hash)) throw new ShardkeepError("RECORD_GAP", `the coordinator's chain does not lead to version ${version}, which was verified here`, { retryable: true, remedy: "ask again; if it repeats, compare `site show` with what boxes have: `shardkeep status`" });
  return all.map(stepOf);
}
