import type { Hsm } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { concat } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { dealMask } from "../../agent/sharding/reshare.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import type { Prng } from "./prng.ts";

/** A rooted box (design §2): its HSM process deals and publishes what is wrong, as long as `isLying`. */
export function lyingHsm(hsm: Hsm, random: Prng, isLying: () => boolean): Hsm {
  const lies = (p: number): boolean => isLying() && random.chance(p);
  return {
    ...hsm,
    dealShards: async (deal) => {
      if (!lies(0.6)) return await hsm.dealShards(deal);
      const { holders, witnesses, shards, t, nextT } = deal;
      // Of the right key, so that all sums are right, but it would take one share more to combine it.
      if (nextT < holders.length && random.chance(0.4)) return await hsm.dealShards({ ...deal, nextT: nextT + 1 });
      const xs = holders.map(({ x }) => x);
      const mask = await dealMask(systemRandom, { t, xs: witnesses.map(({ x }) => x) }, { t: nextT, xs });
      // Of another key, all of it in order; or a sharing of nothing.
      const other = await Promise.all(shards.map(() => splitSecret(systemRandom.bytes(32), nextT, xs)));
      if (random.chance(0.5)) other.forEach((shares) => { shares[0]!.fill(random.int(256)); });
      return {
        holders: holders.map(({ recipient, info }, i) => seal(recipient, info, info, concat(...other.map((shares) => shares[i]!), mask.toHolders[i]!))),
        witnesses: witnesses.map(({ recipient, info }, i) => seal(recipient, info, info, mask.toWitnesses[i]!)),
      };
    },
    holderCheck: async (args) => {
      const checked = await hsm.holderCheck(args);
      if (lies(0.2)) checked.values[0]![0]! ^= 1;
      if (lies(0.2)) checked.digests[0]![0]! ^= 1;
      return checked;
    },
    witnessCheck: async (args) => {
      const value = await hsm.witnessCheck(args);
      if (lies(0.3)) value[0]! ^= 1;
      return value;
    },
  };
}
