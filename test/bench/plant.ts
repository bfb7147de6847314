import { createHash } from "node:crypto";
import { Shelf } from "../../agent/box/shelf.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { keyCheckValue } from "../../agent/protocol/ciphertext.ts";
import { atRestAad, keyRecordHash, pieceContext, sharePrefix, type KeyRecord, type ShareName } from "../../agent/protocol/key-record.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { concat, fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { wipe } from "../../agent/runtime/secrets.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import { putJson } from "../../agent/store/json.ts";
import type { Change, Store } from "../../agent/store/store.ts";

/** A box that gets shards: its HSM, and its store with its vault. Its x is its place in the list, from 1. */
export interface Planted {
  readonly box: string;
  readonly hsm: Hsm;
  readonly store: Store;
}

interface Split { readonly record: KeyRecord; readonly shares: readonly Uint8Array[] }

export const keyNames = (count: number): string[] => Array.from({ length: count }, (_, i) => `key-${String(i + 1).padStart(4, "0")}`);

/**
 * Epoch 1 of many keys, as births would leave it in every box and in the coordinator's store: a thousand births,
 * each with its people, would take longer than all that is measured. Nobody else may have the stores open.
 */
export async function plantKeys(site: string, threshold: number, keys: readonly string[], boxes: readonly Planted[], coordinator: Store): Promise<void> {
  const split: Split[] = [];
  try {
    for (const key of keys) split.push(await splitKey(site, threshold, key, boxes.map(({ box }) => box)));
    await Promise.all(boxes.map((to, place) => plantAt(site, to, place, split)));
    await coordinator.commit(split.flatMap(({ record }) => [putJson(`key/${record.key}`, { record, prepared: [] }), putJson(`attempt/${record.key}`, 1)]));
  } finally {
    wipe(...split.flatMap(({ shares }) => shares));
  }
}

const nameOf = (key: string, box: string, place: number): ShareName => ({ key, epoch: 1, attempt: 1, box, x: place + 1 });
const digestOf = (prefix: Uint8Array, share: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(prefix).update(share).digest());

async function splitKey(site: string, threshold: number, key: string, boxes: readonly string[]): Promise<Split> {
  const secret = systemRandom.bytes(32);
  try {
    const shares = await splitSecret(secret, threshold, boxes.map((_, place) => place + 1));
    const holders = boxes.map((box, place) => ({
      box, x: place + 1, digest: toBase64url(digestOf(sharePrefix(site, nameOf(key, box, place)), shares[place] ?? new Uint8Array())),
    }));
    const record: KeyRecord = {
      site, key, kind: "aes-256", version: 1, epoch: 1, attempt: 1, threshold, size: boxes.length, margin: 1, holders,
      check: keyCheckValue(secret, site, key, 1), plan: toBase64url(systemRandom.bytes(32)), previous: null, imported: null,
    };
    return { record, shares };
  } finally {
    wipe(secret);
  }
}

async function plantAt(site: string, { box, hsm, store }: Planted, place: number, split: readonly Split[]): Promise<void> {
  const shelf = new Shelf(store, site, box);
  const vault = shelf.vault();
  const changes: Change[] = [];
  for (const { record, shares } of split) {
    const { key, plan: id } = record;
    const name = nameOf(key, box, place);
    const context = pieceContext(site, id, "bench", box, key);
    const piece = concat(shares[place] ?? new Uint8Array(), new Uint8Array(16));
    try {
      await hsm.receivePiece({
        id, ...seal(await hsm.openReceiving({ id }), context, context, piece), info: context, aad: context,
        digestPrefix: sharePrefix(site, name), digest: fromBase64url(record.holders[place]?.digest ?? "") ?? new Uint8Array(),
      });
    } finally {
      wipe(piece);
    }
    const { iv, ct, tag } = await hsm.commitPiece({ id, vault, aad: atRestAad(site, name, keyRecordHash(record)) });
    await hsm.closeReceiving({ id });
    changes.push(
      shelf.put({ state: "current", record, prepared: [], generation: vault.generation, sealed: { iv: toBase64url(iv), ct: toBase64url(ct), tag: toBase64url(tag) } }),
      putJson(`attempt/${key}`, 1),
    );
  }
  await store.commit(changes);
}
