import t from "tap";
import type { Shelf, Shelved } from "../../agent/box/shelf.ts";
import { inventoryHash } from "../../agent/protocol/heartbeat.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import { putJson } from "../../agent/store/json.ts";
import { ReshardFleet } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** box-1 with one shard of each key. */
async function begin(...keys: readonly string[]) {
  const fleet = await ReshardFleet.make(new VirtualClock(), 3);
  for (const key of keys) await fleet.addKey(key, new Uint8Array(32), [1, 2, 3], { threshold: 2 });
  return fleet.box(1);
}
const told = (shelf: Shelf): string[] => shelf.holdings().map(({ key, state }) => `${key} ${state}`);

void t.test("the inventory follows what is held, and is over nothing else", async (t) => {
  const { shelf, store } = await begin("a", "b");
  const seen = new Set<string>();
  const look = (held: readonly string[]): void => {
    t.strictSame(told(shelf), held);
    t.equal(shelf.inventory(), inventoryHash("demo", "box-1", shelf.holdings()));
    seen.add(shelf.inventory());
  };
  look(["a current", "b current"]);
  const list = shelf.holdings();
  await store.commit([putJson("limit/a/encrypt", 1)]);
  look(["a current", "b current"]);
  t.equal(shelf.holdings(), list, "not worked out anew for a commit of something else");
  await store.commit(shelf.move(shelf.get("a", "current")!, "old"));
  look(["a old", "b current"]);
  await store.commit(shelf.move(shelf.get("b", "current")!, "retired"));
  look(["a old", "b old"]);
  await store.commit([shelf.remove(shelf.get("a", "old")!)]);
  look(["b old"]);
  t.equal(seen.size, 4);
});

void t.test("a shard is found by its record in whatever state, and only under its own key", async (t) => {
  const { shelf, store } = await begin("a", "b");
  const first = shelf.get("a", "current")!;
  const hash = keyRecordHash(first.record);
  for (const state of ["current", "old", "next", "retired"] satisfies Shelved["state"][]) {
    const [one] = shelf.all().filter(({ record }) => record.key === "a");
    await store.commit(shelf.move(one!, state));
    t.match(shelf.find("a", hash), { state, record: first.record });
    t.equal(shelf.find("b", hash), undefined);
  }
  t.equal(shelf.find("a", keyRecordHash(shelf.get("b", "current")!.record)), undefined);
});
