import { randomBytes } from "node:crypto";
import { alice, asks } from "./asks.ts";
import type { DemoSite } from "./site.ts";
import type { Stage } from "./stage.ts";
import { waitUntil } from "./wait.ts";

/** How long a re-shard and what follows it may take here; each takes a few seconds. */
const waitMs = 25_000;
const orderMs = 40_000;

async function statusOf(site: DemoSite) {
  return await site.client.request("status", {});
}
export type SiteStatus = Awaited<ReturnType<typeof statusOf>>;
export type KeyStatus = SiteStatus["keys"][number];

/** Waits until the site's one key, and the site, are as wanted; gives the key as it was then. */
export async function until(site: DemoSite, what: string, isSo: (key: KeyStatus, status: SiteStatus) => boolean): Promise<KeyStatus> {
  let found: KeyStatus | undefined;
  await waitUntil(what, waitMs, async () => {
    const status = await statusOf(site);
    found = status.keys.find((key) => isSo(key, status));
    return found !== undefined;
  });
  return found ?? await until(site, what, isSo);
}

export async function theKey(site: DemoSite): Promise<KeyStatus> {
  return await until(site, "the key is known", () => true);
}

/** Boxes of every past epoch and burnt attempt that have not proven their shard destroyed. */
export function openBoxes({ exposures }: KeyStatus): string[] {
  return [...new Set(exposures.flatMap(({ open }) => open))];
}

/** As many holders as it shall have, all there, nothing under way, and no shard of any past epoch left. */
export async function untilWhole(site: DemoSite): Promise<KeyStatus> {
  return await until(site, "the key has all its holders, and nothing of the past", (key, { boxes }) =>
    key.reshard === null && key.holders.length === key.size && key.live === key.size && openBoxes(key).length === 0 && boxes.every(({ state }) => state === "ready"));
}

/** New shards by order; rejects as `shardkeep key reshard` would. */
export async function order(site: DemoSite): Promise<void> {
  await site.client.request("key-reshard", { key: "payroll" }, { deadlineMs: orderMs });
}

/** Encrypts something now; what it gives shows, whenever it is called, that the key is still the same and opens it. */
export async function sealSomething(stage: Stage): Promise<() => Promise<void>> {
  const plaintext = new Uint8Array(randomBytes(32));
  const { result } = await stage.use(asks.encryptPublic(plaintext), alice);
  return async () => {
    const opened = await stage.use(asks.decryptPublic(result), alice);
    stage.expect(Buffer.from(opened.result).equals(plaintext), "the key is not what it was");
  };
}
