import t from "tap";
import { BoxPanel } from "../../agent/box/panel.ts";
import type { BoxParts } from "../../agent/box/parts.ts";
import { Tamper } from "../../agent/box/tamper.ts";
import { refOf } from "../../agent/protocol/site-record.ts";
import { verifyStatement } from "../../agent/protocol/statement.ts";
import { tamperEvent } from "../../agent/protocol/tamper.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { body, keyOf, keys, signRecord } from "../rules/support/site.ts";
import { FakePanel } from "../support/fake-panel.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

/** Of a box that version 5, now in force, has readmitted after something else. */
async function bench(full = false) {
  const record = await signRecord({ boxes: body.boxes.map((box) => (box.id === "box-1" ? { ...box, readmitted: 5 } : box)) });
  const bridge = new FakePanel();
  const panel = new BoxPanel(bridge, new VirtualClock(), silentLog, "report");
  bridge.onStatus = (status) => { panel.heard(status); };
  panel.heard(bridge.status);
  const told: unknown[] = [];
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  if (full) store.commit = () => Promise.reject(new Error("disk full"));
  const parts = {
    panel, box: "box-1", site: "demo", store, log: silentLog, records: { current: record, ref: refOf(record) },
    hsm: { sign: (_key: string, message: Uint8Array) => keys["box-1"]!.sign(message) },
    exchange: { tell: (_topic: string, _name: string, data: unknown) => { told.push(data); return Promise.resolve(); } },
  } as unknown as BoxParts;
  const make = (of: object = {}): Tamper => new Tamper({ ...parts, ...of }, () => undefined);
  return { bridge, told, disk, make, tamper: make() };
}

void t.test("what it tells is signed by its identity key, again and again, and only after it is durable", async (t) => {
  const { bridge, told, tamper, make, disk } = await bench();
  bridge.open();
  t.ok(tamper.locked, "at once");
  await settle();
  await tamper.tell();
  t.equal(told.length, 2);
  const { tampered, acknowledged } = tamperEvent.parse(told[1]);
  t.strictSame([tampered.body, acknowledged, verifyStatement(tampered, "demo", keyOf("box-1"))], [{ counter: 1, cause: "opened", since: 5 }, null, true]);
  const again = make({ store: openMemoryStore(disk), panel: undefined });
  t.ok(again.locked, "in the next life");
  t.throws(() => { again.require(); }, { code: "TAMPERED" });
});

void t.test("a store that refuses: locked all the same, and nothing is told that would not last", async (t) => {
  const { bridge, told, tamper } = await bench(true);
  bridge.open();
  await settle();
  await t.rejects(tamper.tell(), /disk full/);
  t.strictSame([tamper.locked, told], [true, []]);
});

void t.test("a note that is dated back lifts nothing: the readmission of before knew nothing of it", async (t) => {
  const { bridge, tamper } = await bench();
  bridge.open();
  bridge.close();
  t.ok(await tamper.acknowledge(1, 1));
  await settle();
  t.strictSame([tamper.locked, bridge.status.tamper?.latched], [true, true]);
});
