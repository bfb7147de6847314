import type { Hsm } from "../../agent/hsm/client.ts";
import { openByEphemeral } from "../../agent/protocol/seal.ts";
import { interpolateAtZero } from "../../agent/sharding/shamir.ts";
import { secretOf } from "./crypto/toy.ts";

const maskBytes = 16;

/**
 * Looks under the seals of every deal: a mask that was ever dealt before would hide two values (protocol.md §7).
 * `onReused` is told.
 */
export function watchMasks(hsm: Hsm, seen: Set<string>, onReused: () => void): Hsm {
  return {
    ...hsm,
    dealShards: async (deal) => {
      const dealt = await hsm.dealShards(deal);
      const points = deal.holders.slice(0, deal.nextT).flatMap(({ x, recipient, info }, i) => {
        const box = dealt.holders[i];
        const ephemeral = box === undefined ? undefined : secretOf(box.enc);
        if (box === undefined || ephemeral === undefined) return [];
        return [{ x, y: openByEphemeral(ephemeral, recipient, box.enc, info, info, box.ct).slice(-maskBytes) }];
      });
      if (points.length === deal.nextT) {
        const mask = Buffer.from(await interpolateAtZero(points)).toString("hex");
        if (seen.has(mask)) onReused();
        seen.add(mask);
      }
      return dealt;
    },
  };
}
