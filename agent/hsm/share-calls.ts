import { Dealings } from "./dealing.ts";
import type { Hsm } from "./hsm.ts";
import { ReceivingKeys } from "./receiving.ts";
import type { SealKeys } from "./seals.ts";
import { Shards } from "./shards.ts";

type ShareCall =
  | "openReceiving" | "closeReceiving" | "receivePiece" | "checkValue" | "commitPiece" | "checkShards" | "releaseShard" | "resealShards"
  | "dealShards" | "revealSeal" | "closeDealing" | "receiveDealt" | "holderCheck" | "witnessCheck" | "commitDealt";
type Answer<K extends ShareCall> = (...args: Parameters<Hsm[K]>) => ReturnType<Hsm[K]> | Awaited<ReturnType<Hsm[K]>>;

/** The calls on shares, over any seal keys: the device's, or a simulation's in memory. */
export function shareCalls(sealKeys: SealKeys): { readonly [K in ShareCall]: Answer<K> } {
  const receiving = new ReceivingKeys();
  const shards = new Shards(sealKeys);
  const dealings = new Dealings(shards);
  return {
    openReceiving: ({ id }) => receiving.open(id),
    closeReceiving: ({ id }) => { receiving.close(id); },
    receivePiece: ({ id, enc, ct, info, aad, ...digest }) => { receiving.receive(id, { enc, ct }, info, aad, digest); },
    checkValue: ({ id, seed, keyId }) => receiving.checkValue(id, seed, keyId),
    commitPiece: ({ id, vault, aad }) => receiving.commit(id, (share) => shards.commit(vault, aad, share)),
    checkShards: ({ vault, shards: batch }) => shards.checkAll(vault, batch),
    releaseShard: ({ vault, sealed, aad, digestPrefix, digest, ...to }) => shards.release(vault, sealed, aad, { digestPrefix, digest }, to),
    resealShards: ({ from, to, shards: batch }) => shards.reseal(from, to, batch),
    dealShards: (deal) => dealings.deal(deal),
    revealSeal: (args) => dealings.reveal(args),
    closeDealing: ({ id }) => { dealings.close(id); },
    receiveDealt: ({ id, keys, dealers }) => { receiving.receiveDealt(id, keys, dealers); },
    holderCheck: ({ id, transcript, keys }) => receiving.dealt(id).holderCheck(transcript, keys),
    witnessCheck: ({ id, transcript, vault, shards: batch }) => {
      const dealt = receiving.dealt(id);
      return shards.withAll(vault, batch, (opened) => dealt.witnessCheck(transcript, opened));
    },
    commitDealt: ({ id, vault, shards: batch }) => receiving.dealt(id).commit(batch, (named) => shards.commitAll(vault, named)),
  };
}
