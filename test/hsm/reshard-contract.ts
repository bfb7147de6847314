import type { Test } from "tap";
import type { Hsm } from "../../agent/hsm/client.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { newXs, Reshard, threshold } from "./reshard-scene.ts";

/** What every HSM must do in a re-shard of a batch of keys (protocol.md §7). Part of the contract of contract.ts. */
export function reshardContract(t: Test, hsm: Hsm): void {
  const begin = async (attempt: string, keyCount?: number) => {
    if (!(await hsm.sealKeys()).includes(1)) await hsm.createSealKey({ generation: 1 });
    return await Reshard.begin(hsm, { generation: 1, ...await hsm.createVault({ generation: 1 }) }, attempt, keyCount);
  };

  void t.test("a whole re-shard of two keys, with one new holder", async (t) => {
    const scene = await begin("whole");
    await scene.receive(await scene.deal());
    const { verdict, digests } = await scene.check();
    t.same(verdict, { kind: "accepted", proven: true });
    const shares = new Map<number, Uint8Array[]>();
    for (const x of newXs) shares.set(x, await scene.commit(x, digests.get(x)!));
    for (const [key, secret] of scene.secrets.entries()) {
      for (const xs of [newXs.slice(0, threshold), newXs.slice(-threshold)]) {
        t.same(await combineShares(xs.map((x) => ({ x, y: shares.get(x)![key]! })), threshold), secret, `${xs.join()} hold key ${key}`);
      }
    }
    await scene.close();
  });
}
