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
 *   another-secret   deals, once, an honest sharing of another key
 *   no-sharing       deals, once, what is no sharing at all, because one holder gets something else
 *   tells            says in its log what its HSM has just signed, so that it can be killed right after
 */
type Manner = (hsm: HsmProcess, log: Log) => Partial<Hsm>;

const lies = (what: "another-secret" | "no-sharing"): Manner => ({ dealShards }, log) => {
  let lied = false;
  return {
    dealShards: async (deal) => {
      if (lied) return await dealShards(deal);
      lied = true;
      log.warn("lie", { what });
      return await falseDeal(deal, what);
    },
  };
};

/** Of secrets that are nobody's, under masks that fit: only what is checked against the witnesses can show it. */
async function falseDeal({ shards, t, nextT, holders, witnesses }: Parameters<Hsm["dealShards"]>[0], what: "another-secret" | "no-sharing"): ReturnType<Hsm["dealShards"]> {
  const xs = holders.map(({ x }) => x);
  const mask = await dealMask(systemRandom, { t, xs: witnesses.map(({ x }) => x) }, { t: nextT, xs });
  const keys = await Promise.all(shards.map(() => splitSecret(systemRandom.bytes(32), nextT, xs)));
  const pieces = mask.toHolders.map((piece, j) => concat(...keys.map((shares) => shares[j] ?? new Uint8Array()), piece));
  const [first] = pieces;
  if (what === "no-sharing" && first !== undefined) first[0] = (first[0] ?? 0) ^ 1;
  const sealed = (to: typeof holders, texts: readonly Uint8Array[]) => to.map(({ recipient, info }, j) => seal(recipient, info, info, texts[j] ?? new Uint8Array()));
  return { holders: sealed(holders, pieces), witnesses: sealed(witnesses, mask.toWitnesses) };
}

const tells: Manner = ({ sign }, log) => ({
  sign: async (role, message) => {
    const signature = await sign(role, message);
    const [what] = /batch-(?:prepared|activated)/.exec(Buffer.from(message).toString("latin1")) ?? [];
    if (what !== undefined) log.info("signed", { what });
    return signature;
  },
});

const manners: Readonly<Record<string, Manner>> = { "another-secret": lies("another-secret"), "no-sharing": lies("no-sharing"), tells };

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
    return { bridge };
  }, onStop);
});
