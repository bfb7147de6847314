import { join } from "node:path";
import { readBoxConfig } from "../../agent/box/config.ts";
import { startBox } from "../../agent/box/start.ts";
import { HsmProcess, type Hsm } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { stdoutLog, type Log } from "../../agent/runtime/log.ts";
import { runMain } from "../../agent/runtime/main.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { concat } from "../../agent/runtime/encoding.ts";
import { dealMask } from "../../agent/sharding/reshare.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import { BridgeProcess } from "../../firmware-bridge/client.ts";

/**
 * A box in bad hands: the agent as it is, all signatures its own, but for what its HSM is asked. For the demo only.
 *   lies   deals another key's shards instead of its own: the first time an honest sharing of it, later one that is
 *          none, because one holder gets something else
 *   tells  says in its log what its HSM has just signed, so that it can be killed right after
 */
type Manner = (hsm: HsmProcess, log: Log) => Partial<Hsm>;

const lies: Manner = (_hsm, log) => {
  let lie: "another secret" | "no sharing" = "another secret";
  return {
    dealShards: async ({ shards, t, nextT, holders, witnesses }) => {
      const xs = holders.map(({ x }) => x);
      const mask = await dealMask(systemRandom, { t, xs: witnesses.map(({ x }) => x) }, { t: nextT, xs });
      const keys = await Promise.all(shards.map(() => splitSecret(systemRandom.bytes(32), nextT, xs)));
      const pieces = mask.toHolders.map((piece, j) => concat(...keys.map((shares) => shares[j] ?? new Uint8Array()), piece));
      const [first] = pieces;
      if (lie === "no sharing" && first !== undefined) first[0] = (first[0] ?? 0) ^ 1;
      log.warn("lie", { lie });
      lie = "no sharing";
      const sealed = (to: typeof holders, what: readonly Uint8Array[]) => to.map(({ recipient, info }, j) => seal(recipient, info, info, what[j] ?? new Uint8Array()));
      return { holders: sealed(holders, pieces), witnesses: sealed(witnesses, mask.toWitnesses) };
    },
  };
};

const tells: Manner = ({ sign }, log) => ({
  sign: async (role, message) => {
    const signature = await sign(role, message);
    const [what] = /batch-[a-z]+/.exec(Buffer.from(message).toString("latin1")) ?? [];
    if (what !== undefined) log.info("signed", { what });
    return signature;
  },
});

const manners: Readonly<Record<string, Manner>> = { lies, tells };

await runMain("bad box", async ([name = "", ...args], onStop) => {
  const config = readBoxConfig(args);
  const log = stdoutLog(config.box);
  const { start } = Object.getOwnPropertyDescriptors(HsmProcess.prototype);
  HsmProcess.prototype.start = async function (this: HsmProcess) {
    Object.assign(this, manners[name]?.(this, log));
    await start.value?.call(this);
  };
  await startBox(config, log, async () => {
    const bridge = new BridgeProcess({ config: { sensor: { ...config.sensor, stateFile: join(config.state, "sensor.json") } }, lockFile: join(config.state, "sensor.lock"), log });
    onStop(() => bridge.stop());
    await bridge.start();
    return bridge;
  }, onStop);
});
