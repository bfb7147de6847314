import type { Hsm } from "../../agent/hsm/client.ts";
import { generateRecipient, open, seal } from "../../agent/protocol/seal.ts";
import { concat } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { applyMatrix, expandMatrix } from "../../agent/sharding/check.ts";
import { sum } from "../../agent/sharding/field.ts";
import { dealMask } from "../../agent/sharding/reshare.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";

type DealArgs = Parameters<Hsm["dealShards"]>[0];
type Dealt = Awaited<ReturnType<Hsm["dealShards"]>>;

/** A dealer that seals noise to its first new holder: off its degree. */
export function inconsistentDealer(hsm: Hsm): Hsm {
  return {
    ...hsm,
    dealShards: async (args) => {
      const { holders, witnesses } = await hsm.dealShards(args);
      const [first] = args.holders;
      if (first === undefined) return { holders, witnesses };
      const noise = systemRandom.bytes(32 * args.shards.length + 16);
      return { holders: [seal(first.recipient, first.info, first.info, noise), ...holders.slice(1)], witnesses };
    },
  };
}

/** A dealer that deals a sharing of something else: every degree is right, and the key would be another. */
export function consistentDealer(hsm: Hsm): Hsm {
  return { ...hsm, dealShards: (args) => dealAnother(args) };
}

async function dealAnother({ shards, t, nextT, holders, witnesses }: DealArgs): Promise<Dealt> {
  const xs = holders.map(({ x }) => x);
  const mask = await dealMask(systemRandom, { t, xs: witnesses.map(({ x }) => x) }, { t: nextT, xs });
  const parts = await Promise.all(shards.map(() => splitSecret(systemRandom.bytes(32), nextT, xs)));
  return {
    holders: holders.map(({ recipient, info }, j) => seal(recipient, info, info, Buffer.concat([...parts.map((part) => part[j]!), mask.toHolders[j]!]))),
    witnesses: witnesses.map(({ recipient, info }, k) => seal(recipient, info, info, mask.toWitnesses[k]!)),
  };
}

/** A new holder that publishes something else than what it was dealt, to have a dealer accused. */
export function lyingHolder(hsm: Hsm): Hsm {
  return {
    ...hsm,
    holderCheck: async (args) => {
      const { values, digests } = await hsm.holderCheck(args);
      return { values: [systemRandom.bytes(16), ...values.slice(1)], digests };
    },
  };
}

/**
 * A dealer that is its own witness: where no witness is left over it deals, and witnesses, as if its shard were another. All
 * degrees and sums are right and the key is another (docs/resharding.md, "Unproven").
 */
export function shiftingDealer(hsm: Hsm): Hsm {
  const shift = new Uint8Array(32).fill(0x55);
  const shifted = new Set<string>();
  return {
    ...hsm,
    dealShards: async (args) => {
      const { id, t, nextT, holders, witnesses } = args;
      if (witnesses.length > t) return await hsm.dealShards(args);
      shifted.add(id);
      // Dealt to itself first: what it then seals to the others is the sum with a sharing of the shift.
      const own = holders.map(() => generateRecipient());
      const dealt = await hsm.dealShards({ ...args, holders: holders.map((holder, j) => ({ ...holder, recipient: own[j]!.publicKey })) });
      const shifts = await splitSecret(shift, nextT, holders.map(({ x }) => x));
      const pieces = dealt.holders.map(({ enc, ct }, j) => open(own[j]!, enc, holders[j]!.info, holders[j]!.info, ct));
      return { ...dealt, holders: holders.map(({ recipient, info }, j) => seal(recipient, info, info, concat(sum(pieces[j]!.subarray(0, 32), shifts[j]!), pieces[j]!.subarray(32)))) };
    },
    witnessCheck: async (args) => {
      const value = await hsm.witnessCheck(args);
      return shifted.has(args.id) ? sum(value, applyMatrix(expandMatrix(args.transcript, args.shards[0]!.keyId), shift)) : value;
    },
  };
}
