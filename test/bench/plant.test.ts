import t from "tap";
import { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import { keyCheckValue } from "../../agent/protocol/ciphertext.ts";
import { keyRecord, keyRecordHash } from "../../agent/protocol/key-record.ts";
import { counter } from "../../agent/protocol/primitives.ts";
import { generateRecipient, open } from "../../agent/protocol/seal.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { getJson } from "../../agent/store/json.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { keyNames, plantKeys } from "./plant.ts";
import { memoryBox } from "./reshard-floor.ts";

const none = new Uint8Array();
const kept = z.looseObject({ record: keyRecord });

void t.test("a planted key is what a birth leaves: t shards make the key of its check value, one record everywhere, its attempt used up", async (t) => {
  const boxes = await Promise.all(["box-1", "box-2", "box-3"].map(memoryBox));
  const coordinator = openMemoryStore(memoryDisk());
  await plantKeys("site", 2, keyNames(2), boxes, coordinator);
  t.strictSame(keyNames(2), ["key-0001", "key-0002"]);
  for (const key of keyNames(2)) {
    const { record } = getJson(coordinator, `key/${key}`, kept)!;
    const shares = await Promise.all(boxes.map(async ({ box, hsm, store }) => {
      const shelf = new Shelf(store, "site", box);
      const held = shelf.get(key, "current")!;
      t.equal(keyRecordHash(held.record), keyRecordHash(record));
      t.equal(getJson(store, `attempt/${key}`, counter), 1);
      const reader = generateRecipient();
      const { enc, ct } = await hsm.releaseShard({ ...shelf.toOpen(held), recipient: reader.publicKey, info: none, hpkeAad: none });
      return { x: shelf.nameIn(held.record)!.x, y: open(reader, enc, none, none, ct) };
    }));
    t.equal(getJson(coordinator, `attempt/${key}`, counter), 1);
    for (const without of [0, 1, 2]) {
      const two = shares.filter((_, i) => i !== without);
      t.equal(keyCheckValue(await combineShares(two, 2), "site", key, 1), record.check);
    }
  }
});
