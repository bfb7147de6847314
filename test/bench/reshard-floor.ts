import { Shelf } from "../../agent/box/shelf.ts";
import type { DealtPieces, Hsm } from "../../agent/hsm/client.ts";
import { atRestAad, sharePrefix } from "../../agent/protocol/key-record.ts";
import { reshardPieceContext } from "../../agent/protocol/reshard.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { putJson } from "../../agent/store/json.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { percentile } from "./figures.ts";
import { keyNames, plantKeys, type Planted } from "./plant.ts";
import { boxesOf, type Size } from "./site.ts";

const site = "bench";
const runs = 3;

/**
 * The CPU time that one batch would take if there were nothing but the share algebra and the sealing (p50, ms):
 * t deals, and the n-1 boxes left receive, check as holders and as witnesses, and store. Everything is in memory and
 * in this process: no device, no IPC, no signature, no message, no disk.
 */
export async function measureReshardFloor({ t, n }: Size, keyCount: number): Promise<number> {
  const boxes = await Promise.all(boxesOf(n).map(memoryBox));
  const keys = keyNames(keyCount);
  await plantKeys(site, t, keys, boxes, openMemoryStore(memoryDisk()));
  const samples: number[] = [];
  // The first finds code that is not compiled yet.
  for (let run = 0; run <= runs; run++) {
    const ms = await oneBatch(t, keys, boxes.slice(0, -1), `${run}`);
    if (run > 0) samples.push(ms);
  }
  return percentile(samples, 0.5);
}

/** A box with its vault, all in memory. */
export async function memoryBox(box: string): Promise<Planted> {
  const hsm = memoryHsm(box);
  await hsm.createSealKey({ generation: 1 });
  const { enc, ct } = await hsm.createVault({ generation: 1 });
  const store = openMemoryStore(memoryDisk());
  await store.commit([putJson("vault", { generation: 1, enc: toBase64url(enc), ct: toBase64url(ct) })]);
  return { box, hsm, store };
}

interface Part {
  readonly box: string;
  readonly hsm: Hsm;
  readonly x: number;
  readonly vault: ReturnType<Shelf["vault"]>;
  readonly shards: Parameters<Hsm["witnessCheck"]>[0]["shards"];
  readonly recipient: Uint8Array;
}

async function partOf({ box, hsm, store }: Planted, x: number, keys: readonly string[], id: string): Promise<Part> {
  const shelf = new Shelf(store, site, box);
  const shards = keys.flatMap((keyId) => {
    const current = shelf.get(keyId, "current");
    return current === undefined ? [] : [{ ...shelf.toOpen(current), keyId }];
  });
  return { box, hsm, x, vault: shelf.vault(), shards, recipient: await hsm.openReceiving({ id }) };
}

async function oneBatch(t: number, keys: readonly string[], boxes: readonly Planted[], id: string): Promise<number> {
  const parts: Part[] = [];
  for (const [place, box] of boxes.entries()) parts.push(await partOf(box, place + 1, keys, id));
  const transcript = systemRandom.bytes(32);
  const context = (from: string, to: string, role: "holder" | "witness"): Uint8Array => reshardPieceContext(site, id, from, to, role);
  const nameOf = (key: string, { box, x }: Part) => ({ key, epoch: 2, attempt: 2, box, x });
  const sent = new Map<string, DealtPieces[]>(parts.map(({ box }) => [box, []]));

  const begun = process.cpuUsage();
  for (const dealer of parts.slice(0, t)) {
    const to = (role: "holder" | "witness") => parts.map(({ x, recipient, box }) => ({ x, recipient, info: context(dealer.box, box, role) }));
    const { holders, witnesses } = await dealer.hsm.dealShards({ id, vault: dealer.vault, shards: dealer.shards, t, nextT: t, holders: to("holder"), witnesses: to("witness") });
    for (const [i, { box }] of parts.entries()) {
      const [holder, witness] = [holders[i], witnesses[i]];
      if (holder === undefined || witness === undefined) throw new Error(`${dealer.box} dealt nothing to ${box}`);
      sent.get(box)?.push({ x: dealer.x, holder: { ...holder, info: context(dealer.box, box, "holder") }, witness: { ...witness, info: context(dealer.box, box, "witness") } });
    }
  }
  for (const part of parts) {
    const { box, hsm, vault } = part;
    await hsm.receiveDealt({ id, keys: keys.length, dealers: sent.get(box) ?? [] });
    const prefixes = keys.map((key) => sharePrefix(site, nameOf(key, part)));
    const { digests } = await hsm.holderCheck({ id, transcript, keys: keys.map((keyId, i) => ({ keyId, digestPrefix: prefixes[i] ?? new Uint8Array() })) });
    await hsm.witnessCheck({ id, transcript, vault, shards: part.shards });
    await hsm.commitDealt({ id, vault, shards: keys.map((key, i) => ({
      aad: atRestAad(site, nameOf(key, part), id), digestPrefix: prefixes[i] ?? new Uint8Array(), digest: digests[i] ?? new Uint8Array(),
    })) });
  }
  const { user, system } = process.cpuUsage(begun);
  for (const { hsm } of parts) {
    await hsm.closeReceiving({ id });
    await hsm.closeDealing({ id });
  }
  return (user + system) / 1000;
}
