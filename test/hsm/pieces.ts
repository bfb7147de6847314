import { createHash, randomBytes } from "node:crypto";
import type { Hsm, StoredShard } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { concat, utf8 } from "../../agent/runtime/encoding.ts";

const [info, aad, prefix] = [utf8("info"), utf8("aad"), utf8("prefix")];
export const bytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(createHash("sha256").update(concat(...parts)).digest());

/** A share with the mask and digest that a dealer makes for it. */
export function makePiece(): { share: Uint8Array; mask: Uint8Array; digestPrefix: Uint8Array; digest: Uint8Array } {
  const share = bytes(32);
  return { share, mask: bytes(16), digestPrefix: prefix, digest: sha256(prefix, share) };
}

/** Whether the HSM opens this one shard. */
export async function opens(hsm: Hsm, { vault, ...shard }: StoredShard): Promise<boolean | undefined> {
  const [open] = await hsm.checkShards({ vault, shards: [shard] });
  return open;
}

/** Deals `share` into the HSM under `vault` as a birth does, and gives what the box's store would hold. */
export async function dealIn(hsm: Hsm, vault: { generation: number; enc: Uint8Array; ct: Uint8Array }, piece = makePiece(), id = "birth") {
  const { share, mask, digestPrefix, digest } = piece;
  const key = await hsm.openReceiving({ id });
  await hsm.receivePiece({ id, ...seal(key, info, aad, concat(share, mask)), info, aad, digestPrefix, digest });
  const sealed = await hsm.commitPiece({ id, vault, aad });
  await hsm.closeReceiving({ id });
  return { ...piece, stored: { vault, sealed, aad, digestPrefix, digest } };
}
