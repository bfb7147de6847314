import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { hasCode } from "../../../../agent/runtime/errors.ts";
import { pairingFile } from "../../../../firmware-bridge/biometrics/fingerprint/pairing-file.ts";
import { hex } from "../../support/scripted-line.ts";
import { ack, op, ScriptedModule } from "../../support/scripted-module.ts";
import { bench, MemoryStore, pairedBench } from "../../support/sensor.ts";

const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);

void t.test("pairing saves before it tells, confirms after it proved, and is idempotent", async (t) => {
  const { sensor, module, store } = bench();
  t.match(await sensor.inspect(), { state: "unpaired" });
  let savedAtSetPassword: boolean | undefined;
  module.faults.push({ opcode: op.setPassword, instead: (reply, say) => { savedAtSetPassword = store.load()?.confirmed === false && hex(store.load()!.password) === module.password; for (const packet of reply) say(packet); } });
  await sensor.pair();
  t.equal(savedAtSetPassword, true, "durable before SetPwd (W12)");
  t.same(store.saves.map(({ confirmed }) => confirmed), [false, true]);
  t.not(module.password, "00000000");
  t.equal(hex(module.notepad), hex(store.load()!.marker));
  t.match(await sensor.inspect(), { state: "ready", capacity: 200, model: "R503", serial: "SN000001", emulated: true, templates: 0 });
  await sensor.pair();
  t.equal(store.saves.length, 2, "a second pairing changes nothing");
});

void t.test("pairing sets the security level, and raises it again", async (t) => {
  const { sensor, module } = bench();
  module.level = 3;
  await sensor.pair();
  t.equal(module.level, 4);
  module.level = 2;
  t.match(await sensor.inspect(), { state: "fault", detail: /^SENSOR_LEVEL_LOWERED: .* 2, below 4/ });
  await sensor.pair();
  t.match(await sensor.inspect(), { state: "ready" });
});

void t.test("power lost in the middle of pairing: the next try ends it with the same secrets", async (t) => {
  for (const opcode of [op.writeNotepad, op.setPassword]) {
    for (const heard of [false, true]) {
      const { sensor, module, store } = bench();
      module.faults.push({ opcode, instead: (reply, say) => { if (heard) for (const packet of reply) say(packet); void module.line.close(); } });
      // The script does its work before the fault: "not heard" means that the answer was lost.
      await failure(sensor.pair());
      const secret = hex(store.load()!.password);
      const again = new ScriptedModule();
      Object.assign(again, { password: module.password, notepad: module.notepad });
      const next = bench(again, store);
      await next.sensor.pair();
      t.equal(hex(store.load()!.password), secret, `${opcode} ${heard}`);
      t.match(await next.sensor.inspect(), { state: "ready" });
    }
  }
});

void t.test("who is refused", async (t) => {
  const elsewhere = bench();
  elsewhere.module.password = "11223344";
  t.match(await elsewhere.sensor.inspect(), { state: "locked" });
  t.ok(hasCode(await failure(elsewhere.sensor.pair()), "SENSOR_PAIRED_ELSEWHERE"));
  t.equal(elsewhere.store.saves.length, 0);

  const clone = bench();
  clone.module.takesAnyPassword = true;
  t.ok(hasCode(await failure(clone.sensor.pair()), "SENSOR_FAULT"), "does not enforce its password (Q21)");
  t.equal(clone.store.saves.length, 0);

  const swapped = await pairedBench();
  swapped.module.password = "00000000";
  t.match(await swapped.sensor.inspect(), { state: "foreign" });
  t.ok(hasCode(await failure(swapped.sensor.pair()), "SENSOR_FOREIGN"), "a stock sensor in the place of ours is not paired silently");
  t.equal(swapped.store.saves.length, 2, "and our secrets are kept");
});

void t.test("a sensor that is freed is as new, also when the power went in the middle", async (t) => {
  const { sensor, module, store } = await pairedBench();
  await sensor.unpair();
  t.same([module.library.size, module.password, store.load()?.confirmed], [0, "00000000", false]);
  t.match(await sensor.inspect(), { state: "unpaired" });
  await sensor.unpair();
  t.equal(module.count(op.empty), 1, "again nothing is done");
  const next = bench(Object.assign(new ScriptedModule(), { password: module.password, notepad: module.notepad }));
  await next.sensor.pair();
  t.match(await next.sensor.inspect(), { state: "ready" }, "another box takes it");

  for (const opcode of [op.empty, op.setPassword]) for (const heard of [false, true]) {
    const cut = await pairedBench();
    cut.module.faults.push({ opcode, instead: (reply, say) => { if (heard) for (const packet of reply) say(packet); void cut.module.line.close(); } });
    await failure(cut.sensor.unpair());
    const again = Object.assign(new ScriptedModule(), { password: cut.module.password, notepad: cut.module.notepad });
    await bench(again, cut.store).sensor.unpair();
    t.equal(again.password, "00000000", `${opcode} ${heard}`);
  }

  const swapped = await pairedBench();
  swapped.module.password = "11223344";
  t.ok(hasCode(await failure(swapped.sensor.unpair()), "SENSOR_FOREIGN"), "another box's sensor is not freed");
  t.equal(swapped.module.library.size, 2, "nor are its fingers taken");
  t.ok(hasCode(await failure(bench(swapped.module).sensor.unpair()), "SENSOR_PAIRED_ELSEWHERE"));
});

void t.test("a line error does not make a sensor foreign", async (t) => {
  const { sensor, module } = await pairedBench();
  module.faults.push({ opcode: op.password, after: 1, instead: (_reply, say) => { say(ack(0x13)); } });
  t.match(await sensor.inspect(), { state: "ready" });
});

void t.test("the pairing file", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-pairing-"));
  t.teardown(() => { rmSync(folder, { recursive: true }); });
  const path = join(folder, "pairing");
  const file = pairingFile(path);
  t.equal(file.load(), undefined);
  const pairing = { password: Uint8Array.of(1, 2, 3, 4), marker: new Uint8Array(32).fill(9), confirmed: true };
  file.save({ ...pairing, confirmed: false });
  t.match(file.load(), { confirmed: false });
  file.save(pairing);
  t.same(file.load(), pairing);
  t.equal(statSync(path).mode & 0o777, 0o600);
  const bytes = readFileSync(path);
  t.equal(hex(bytes.subarray(0, 45)), `534b5041495230310101020304${"09".repeat(32)}`);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1;
    writeFileSync(path, flipped);
    t.throws(() => file.load(), { code: "PAIRING_FILE_DAMAGED" });
  }
  for (const length of [0, 10, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    t.throws(() => file.load(), { code: "PAIRING_FILE_DAMAGED" });
  }
  t.throws(() => pairingFile(folder).load(), { code: "PAIRING_FILE_DAMAGED" });
  t.end();
});

void t.test("a damaged pairing file is a fault, and nothing is paired over it", async (t) => {
  const store = new MemoryStore();
  store.load = () => { throw new Error("damaged"); };
  const { sensor, module } = bench(new ScriptedModule(), store);
  t.match(await sensor.inspect(), { state: "fault" });
  t.not(await failure(sensor.pair()), "resolved");
  t.equal(module.password, "00000000");
});
