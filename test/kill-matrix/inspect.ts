import { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import type { Store } from "../../agent/store/store.ts";

/** What one box holds, read past the agent's own logic: every shard opened by the HSM and compared with the record. */
export const inspected = z.strictObject({
  shards: z.array(z.strictObject({ key: z.string(), record: z.string(), state: z.string(), good: z.boolean() })),
  /** Generation of the vault in the store, and those in the HSM. */
  generation: z.int(),
  sealKeys: z.array(z.int()),
});
export type Inspected = z.infer<typeof inspected>;

export async function inspect({ store, hsm }: { readonly store: Store; readonly hsm: Hsm }, { site, box }: { readonly site: string; readonly box: string }): Promise<Inspected> {
  const shelf = new Shelf(store, site, box);
  // The agent goes on meanwhile: what belongs together is read in one go.
  const { generation } = shelf.vault();
  const shelved = shelf.all();
  const opens = await hsm.checkShards(shelf.batch(shelved)).catch(() => []);
  const shards = shelved.map(({ state, record }, i) => ({ key: record.key, record: keyRecordHash(record), state, good: opens[i] === true }));
  return { shards, generation, sealKeys: await hsm.sealKeys() };
}
