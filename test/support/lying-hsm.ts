import type { Hsm } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
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
