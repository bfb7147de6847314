import t from "tap";
import { memoryHsm, memoryToken } from "../support/memory-hsm.ts";
import { hsmContract } from "./contract.ts";
import { dealIn } from "./pieces.ts";
import { Reshard } from "./reshard-scene.ts";

hsmContract(t, memoryHsm());

void t.test("a batch costs one opening of its vault", async (t) => {
  const token = memoryToken();
  const hsm = memoryHsm("one", token);
  await hsm.createSealKey({ generation: 1 });
  const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
  const { stored } = await dealIn(hsm, vault);
  const key = token.seals.get(1)!;
  let agreed = 0;
  token.seals.set(1, { ...key, agree: (peer) => { agreed += 1; return key.agree(peer); } });
  t.same(await hsm.checkShards({ vault, shards: [stored, stored, stored] }), [true, true, true]);
  t.equal(agreed, 1);
});

void t.test("what is closed while its call is under way keeps nothing", async (t) => {
  const hsm = memoryHsm();
  await hsm.createSealKey({ generation: 1 });
  const scene = await Reshard.begin(hsm, { generation: 1, ...await hsm.createVault({ generation: 1 }) }, "closing");
  const deal = hsm.dealShards(scene.dealArgs(2));
  await hsm.closeDealing({ id: scene.dealing(2) });
  await t.rejects(deal, { code: "DEALING_MISSING" });
  await scene.receive(await scene.deal());
  const check = scene.holderCheck(4);
  await hsm.closeReceiving({ id: scene.box(4) });
  await t.rejects(check, { code: "RECEIVING_MISSING" });
});

void t.test("two calls at once are once", async (t) => {
  const hsm = memoryHsm();
  await hsm.createSealKey({ generation: 1 });
  const scene = await Reshard.begin(hsm, { generation: 1, ...await hsm.createVault({ generation: 1 }) }, "at-once");
  const outcomes = async (calls: readonly Promise<unknown>[]) => (await Promise.allSettled(calls)).map((call) => call.status === "fulfilled" ? "given" : (call.reason as { code: string }).code);
  t.same(await outcomes([hsm.dealShards(scene.dealArgs(2)), hsm.dealShards(scene.dealArgs(2))]), ["given", "DEAL_ALREADY_GIVEN"]);
  await hsm.closeDealing({ id: scene.dealing(2) });
  await scene.receive(await scene.deal());
  t.same(await outcomes([scene.holderCheck(4), scene.holderCheck(4)]), ["given", "CHECK_ALREADY_GIVEN"]);
  t.same(await outcomes([scene.witnessCheck(4), scene.witnessCheck(4)]), ["given", "CHECK_ALREADY_GIVEN"]);
});
