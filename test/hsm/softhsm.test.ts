import t from "tap";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { hsmContract } from "./contract.ts";
import { entry, freshHsm, softhsm } from "./fixtures/token.ts";
import { Reshard } from "./reshard-scene.ts";

if (softhsm === undefined) {
  t.pass("skipped: SoftHSM is not installed (apt install softhsm2)", { skip: "no SoftHSM" });
} else {
  const { hsm, config } = await freshHsm(t);
  const info = await hsm.info();
  t.match(info, { manufacturer: "SoftHSM", label: "box-1", backing: "software", serial: /^[0-9a-f]{16}$/ });
  void t.test("a second owner of the token cannot start", async (t) => {
    const second = new HsmProcess(config, { log: silentLog, entry });
    await t.rejects(second.start(), { code: "ALREADY_OWNED", message: /owner\.lock/ });
  });
  hsmContract(t, hsm);
  void t.test("a re-shard's deals and pieces are lost with the process", async (t) => {
    await hsm.createSealKey({ generation: 1 });
    const scene = await Reshard.begin(hsm, { generation: 1, ...await hsm.createVault({ generation: 1 }) }, "lost");
    await scene.receive(await scene.deal());
    const { digests } = await scene.holderCheck(4);
    process.kill(hsm.pid!, "SIGKILL");
    await t.rejects(hsm.info(), { code: "PROCESS_ENDED" });
    await t.rejects(scene.holderCheck(3), { code: "RECEIVING_MISSING" });
    await t.rejects(scene.witnessCheck(3), { code: "RECEIVING_MISSING" });
    await t.rejects(hsm.commitDealt(scene.commitArgs(4, digests)), { code: "RECEIVING_MISSING" });
    await t.rejects(hsm.revealSeal(scene.accusation(2, 9, { enc: new Uint8Array(65), ct: new Uint8Array(96), info: new Uint8Array(1) }, new Uint8Array(16))), { code: "DEALING_MISSING" });
  });
  void t.test("the greatest batch passes, one key or party more does not", async (t) => {
    const { hsm } = await freshHsm(t, { deadlineMs: 60_000 });
    await hsm.createSealKey({ generation: 1 });
    const [shards, boxes] = [1001, 256].map((length) => Array.from({ length }));
    const id = "greatest";
    const key = await hsm.openReceiving({ id });
    const info = new Uint8Array(4096);
    const dealers = [1, 2].map((x) => ({ x, holder: { ...seal(key, info, info, new Uint8Array(32_016)), info } }));
    await hsm.receiveDealt({ id, keys: 1000, dealers });
    const keys = shards!.map((_, index) => ({ keyId: `${index}`.padStart(128), digestPrefix: info }));
    const transcript = new Uint8Array(32);
    await t.rejects(hsm.holderCheck({ id, transcript, keys }), { code: "IPC_BAD_ARGUMENTS", message: /keys/ });
    const { digests } = await hsm.holderCheck({ id, transcript, keys: keys.slice(1) });
    const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
    const commit = { id, vault, shards: digests.map((digest) => ({ aad: info, digestPrefix: info, digest })) };
    await t.rejects(hsm.commitDealt({ ...commit, shards: [...commit.shards, commit.shards[0]!] }), { code: "IPC_BAD_ARGUMENTS", message: /shards/ });
    const sealed = await hsm.commitDealt(commit);
    const stored = commit.shards.map((shard, index) => ({ ...shard, sealed: sealed[index]! }));
    const to = boxes!.map((_, index) => ({ x: index + 1, recipient: key, info }));
    const deal = { id, vault, shards: stored, t: 2, nextT: 2, holders: to.slice(0, 4), witnesses: to.slice(0, 255) };
    await t.rejects(hsm.dealShards({ ...deal, shards: [...stored, stored[0]!] }), { code: "IPC_BAD_ARGUMENTS", message: /shards/ });
    await t.rejects(hsm.dealShards({ ...deal, holders: to }), { code: "IPC_BAD_ARGUMENTS", message: /holders/ });
    await t.rejects(hsm.dealShards({ ...deal, witnesses: to }), { code: "IPC_BAD_ARGUMENTS", message: /witnesses/ });
    const most = Array.from({ length: 4096 }, () => stored[0]!);
    t.same(await hsm.checkShards({ vault, shards: most }), most.map(() => true));
    await t.rejects(hsm.checkShards({ vault, shards: [...most, stored[0]!] }), { code: "IPC_BAD_ARGUMENTS", message: /shards/ });
    await t.rejects(hsm.dealShards({ ...deal, shards: [] }), { code: "IPC_BAD_ARGUMENTS", message: /shards/ });
    const { holders, witnesses } = await hsm.dealShards(deal);
    t.same([holders[0]!.ct.length, witnesses.length], [32_032, 255]);
    await t.rejects(hsm.receiveDealt({ id, keys: 1001, dealers }), { code: "IPC_BAD_ARGUMENTS", message: /keys/ });
    await t.rejects(hsm.receiveDealt({ id, keys: 1, dealers: to.map(({ x }) => ({ x })) }), { code: "IPC_BAD_ARGUMENTS", message: /dealers/ });
  });
}
