import t from "tap";
import type { Shelved } from "../../agent/box/shelf.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { getJson } from "../../agent/store/json.ts";
import { z } from "zod";
import { ReshardFleet, type FleetBox } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const three = [1, 2, 3];
const secretOf = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const nothingUsed = (): boolean => false;

/** box-1 of a site with these keys, 2 of 3 each. */
async function begin(...keys: readonly string[]): Promise<{ fleet: ReshardFleet; box: FleetBox; records: Map<string, KeyRecord> }> {
  const fleet = await ReshardFleet.make(new VirtualClock(), 3);
  const records = new Map<string, KeyRecord>();
  for (const [i, key] of keys.entries()) records.set(key, await fleet.addKey(key, secretOf(i + 1), three, { threshold: 2 }));
  return { fleet, box: fleet.box(1), records };
}
const retire = async (box: FleetBox, key: string): Promise<void> => { await box.store.commit(box.shelf.move(box.shelf.get(key, "current")!, "retired")); };
const states = (box: FleetBox): string[] => box.shelf.all().map(({ state, record, generation }) => `${record.key} ${state} ${generation}`);
const ending = (box: FleetBox): unknown => getJson(box.store, "ending", z.unknown());

void t.test("several keys of which one is retired: the others keep opening, of it nothing is left", async (t) => {
  const { fleet, box } = await begin("a", "b", "c");
  const before = box.shelf.get("b", "current")!;
  const vault = box.shelf.vault();
  t.equal(box.generations.pending, false);
  t.equal(await box.generations.sweep(nothingUsed), true, "nothing to do");
  t.strictSame(await box.hsm.sealKeys(), [1], "and no new generation for it");
  await retire(box, "b");
  t.equal(box.generations.pending, true);
  t.equal(await box.generations.sweep(nothingUsed), true);
  t.equal(box.generations.pending, false);
  t.strictSame(states(box), ["a current 2", "c current 2"]);
  t.strictSame(await box.hsm.sealKeys(), [2], "the seal key before is gone");
  t.strictSame(await fleet.combine("a", [1, 3]), secretOf(1));
  t.strictSame(await fleet.combine("c", [1, 2]), secretOf(3));
  await t.rejects(box.hsm.checkShards({ ...box.shelf.batch([before]), vault }), { code: "KEY_MISSING" }, "whoever has an image of the store has nothing");
  await retire(box, "a");
  await box.generations.sweep(nothingUsed);
  t.strictSame([states(box), await box.hsm.sealKeys()], [["c current 3"], [3]]);
  t.strictSame(await fleet.combine("c", [1, 2]), secretOf(3));
});

void t.test("old and next of an unfinished attempt live as well", async (t) => {
  const { box } = await begin("a", "b", "c");
  await box.store.commit([...box.shelf.move(box.shelf.get("a", "current")!, "old"), ...box.shelf.move(box.shelf.get("b", "current")!, "next")]);
  await retire(box, "c");
  await box.generations.sweep(nothingUsed);
  t.strictSame(states(box), ["a old 2", "b next 2"]);
  t.ok((await box.hsm.checkShards(box.shelf.batch(box.shelf.all()))).every((opens) => opens));
});

void t.test("nothing goes while a request on a retired record still runs", async (t) => {
  const { box, records } = await begin("a", "b");
  await retire(box, "a");
  await retire(box, "b");
  const isUsed = ({ record }: Shelved): boolean => record.plan === records.get("b")!.plan && record.key === "b";
  t.equal(await box.generations.sweep(isUsed), false);
  t.equal(box.generations.pending, true, "DESTROY_PENDING");
  t.strictSame([states(box), await box.hsm.sealKeys()], [["a retired 1", "b retired 1"], [1]]);
  t.equal(await box.generations.sweep(nothingUsed), true);
  t.strictSame(states(box), []);
});

void t.test("a half-made next seal key is replaced", async (t) => {
  const { box } = await begin("a", "b");
  const old = await box.hsm.createSealKey({ generation: 2 });
  await retire(box, "a");
  await box.generations.sweep(nothingUsed);
  t.strictSame([states(box), await box.hsm.sealKeys()], [["b current 2"], [2]]);
  t.notSame(getJson(box.store, "seal-key", z.unknown()), { generation: 2, key: Buffer.from(old).toString("base64url") });
  t.strictSame(await box.hsm.checkShards(box.shelf.batch([box.shelf.all()[0]!])), [true]);
});

void t.test("a crash at every commit of it: the next life finishes, by itself at its start", async (t) => {
  for (const [when, crash] of [["before", { before: () => { throw new Error("killed"); } }], ["after", { after: () => { throw new Error("killed"); } }]] as const) {
    for (const at of [0, 1]) {
      const { fleet, box } = await begin("a", "b");
      await retire(box, "a");
      const first = box.store.head.commit + 1;
      const hooks = Object.fromEntries(Object.entries(crash).map(([name, stop]) => [name, (commit: number) => { if (commit === first + at) stop(); }]));
      box.live(hooks);
      await t.rejects(box.generations.sweep(nothingUsed), { code: "STORE_FAILED" });
      const keys = await box.hsm.sealKeys();
      t.strictSame(keys, at === 0 ? [1, 2] : [2], `${when} ${at}: the seal key before goes only when the batch is durable`);
      box.live();
      const finished = when === "after" && at === 1;
      t.equal(box.generations.pending, !finished);
      t.equal(ending(box) !== undefined, (when === "after" && at === 0) || (when === "before" && at === 1), `${when} ${at}: DESTROY_PENDING is durable`);
      await fleet.clock.until(() => !box.generations.pending, 1000, "the sweep at start");
      t.strictSame([states(box), box.generations.pending], [["b current 2"], false], `${when} ${at}`);
      t.strictSame(await box.hsm.sealKeys(), [2]);
      t.strictSame(await fleet.combine("b", [1, 2]), secretOf(2));
    }
  }
});

void t.test("the seal key before is destroyed only after the whole batch has opened through a re-initialised HSM", async (t) => {
  const { box } = await begin("a", "b", "c");
  await retire(box, "a");
  const hsm = { ...box.hsm };
  const calls: string[] = [];
  box.hsm.reopen = async () => { calls.push("reopen"); await hsm.reopen(); };
  box.hsm.checkShards = async (args) => { calls.push("check"); return (await hsm.checkShards(args)).with(1, false); };
  await t.rejects(box.generations.sweep(nothingUsed), { code: "GENERATION_NOT_PROVEN", message: /the shard of c does not open in seal generation 2/ });
  t.strictSame(calls, ["reopen", "check"]);
  t.strictSame([await box.hsm.sealKeys(), box.generations.pending], [[1, 2], true]);
  Object.assign(box.hsm, hsm);
  t.equal(await box.generations.sweep(nothingUsed), true);
  t.strictSame([await box.hsm.sealKeys(), states(box)], [[2], ["b current 2", "c current 2"]]);
});

void t.test("a shard that is of another generation than the vault proves nothing", async (t) => {
  const { box } = await begin("a", "b");
  await retire(box, "a");
  const hsm = { ...box.hsm };
  box.hsm.reopen = async () => {
    await hsm.reopen();
    await box.store.commit([box.shelf.put({ ...box.shelf.get("b", "current")!, generation: 1 })]);
  };
  await t.rejects(box.generations.sweep(nothingUsed), { code: "GENERATION_NOT_PROVEN" });
  t.strictSame(await box.hsm.sealKeys(), [1, 2]);
});

void t.test("an HSM that seals fewer shards than it was given: nothing is written", async (t) => {
  const { box } = await begin("a", "b", "c");
  await retire(box, "a");
  const hsm = { ...box.hsm };
  box.hsm.resealShards = async (args) => (await hsm.resealShards(args)).slice(1);
  const { commit } = box.store.head;
  await t.rejects(box.generations.sweep(nothingUsed), { code: "GENERATION_NOT_PROVEN", message: /fewer shards/ });
  t.strictSame([box.store.head.commit, states(box), await box.hsm.sealKeys()], [commit, ["a retired 1", "b current 1", "c current 1"], [1, 2]]);
});

void t.test("an empty box ends its generation too", async (t) => {
  const { box } = await begin("a");
  await retire(box, "a");
  t.equal(await box.generations.sweep(nothingUsed), true);
  t.strictSame([states(box), await box.hsm.sealKeys(), box.shelf.vault().generation], [[], [2], 2]);
});
