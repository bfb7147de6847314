import t from "tap";
import { hasCode } from "../../../../agent/runtime/errors.ts";
import { ack, op, type Fault } from "../../support/scripted-module.ts";
import { bench, known, never, pairedBench } from "../../support/sensor.ts";

const timeoutMs = 60_000;

void t.test("a known finger is matched, after every check, in the order that R503 needs", async (t) => {
  const { sensor, module, alice, bob } = await pairedBench();
  module.opcodes.length = 0;
  module.presses = ["", "", "bob"];
  t.same(await sensor.identify({ timeoutMs, fingers: [alice, bob] }, never), { outcome: "matched", slot: 7, score: 96, digest: bob.digest, emulated: true });
  const verification = [op.password, op.password, op.readNotepad, op.parameters];
  t.same(module.opcodes, [...verification, op.image, op.image, op.image, op.features, op.search, op.load, op.upload, ...verification]);
});

void t.test("a finger that lies there already does not count until it was lifted", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  module.presses = ["alice", "alice", "alice", ""];
  module.resting = "alice";
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" });
  t.equal(module.count(op.features), 1);
  t.same(await sensor.identify({ timeoutMs: 2000, fingers: [alice] }, never), { outcome: "timeout" }, "and the next prompt needs a lift again");
});

void t.test("refusals: one touch, one outcome", async (t) => {
  const { sensor, module, alice, bob } = await pairedBench();
  module.presses = ["", "mallory"];
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "refused", reason: "unknown-finger" });
  module.presses = ["", "bob"];
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "refused", reason: "unknown-finger" }, "bob is stored but not among the fingers");
  module.presses = ["", "?", "?", "?"];
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "refused", reason: "poor-image" });
  module.presses = ["", "?", "alice"];
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" }, "a poor image is taken again while the finger stays");
  module.presses = ["", "alice"];
  t.same(await sensor.identify({ timeoutMs, fingers: [{ ...alice, digest: bob.digest }] }, never), { outcome: "refused", reason: "template-changed" });
  module.enrolled(0, "alice+mallory");
  module.presses = ["", "mallory"];
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "refused", reason: "template-changed" }, "a substituted template");
  module.presses = ["", "bob"];
  module.faults.push({ opcode: op.load, instead: (_reply, say) => { say(ack(0x0c)); } });
  t.same(await sensor.identify({ timeoutMs, fingers: [bob] }, never), { outcome: "refused", reason: "template-changed" }, "found, but not there to be read");
});

void t.test("no touch, no outcome: timeout and cancel", async (t) => {
  const { sensor, alice, module } = await pairedBench();
  t.same(await sensor.identify({ timeoutMs: 1000, fingers: [alice] }, never), { outcome: "timeout" });
  const abort = new AbortController();
  const waiting = sensor.identify({ timeoutMs, fingers: [alice] }, abort.signal);
  module.presses = [];
  setImmediate(() => { abort.abort(); });
  t.same(await waiting, { outcome: "cancelled" });
});

void t.test("a cancel that comes while the finger is looked at still cancels", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  const abort = new AbortController();
  module.presses = ["", "alice"];
  module.faults.push({ opcode: op.load, instead: (reply, say) => { abort.abort(); for (const packet of reply) say(packet); } });
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, abort.signal), { outcome: "cancelled" });
});

void t.test("noise while nobody touches: verified again, and the next touch counts", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  module.presses = ["", "", "", "alice"];
  module.faults.push({ opcode: op.image, after: 1, instead: (reply, say) => { for (const packet of [Uint8Array.of(0xa7), ...reply]) say(packet); } });
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" });
  t.equal(module.count(op.features), 1);
});

void t.test("the checks before an accept", async (t) => {
  const refusal = async (spoil: (bench: Awaited<ReturnType<typeof pairedBench>>) => void): Promise<unknown> => {
    const paired = await pairedBench();
    paired.module.presses = ["", "alice"];
    spoil(paired);
    return await paired.sensor.identify({ timeoutMs, fingers: [paired.alice] }, never).catch((error: unknown) => error);
  };
  t.ok(hasCode(await refusal(({ module }) => { module.takesAnyPassword = true; }), "SENSOR_FOREIGN"), "takes any password");
  t.ok(hasCode(await refusal(({ module }) => { module.password = "00000000"; }), "SENSOR_FOREIGN"), "a stock module");
  t.ok(hasCode(await refusal(({ module }) => { module.notepad = new Uint8Array(32); }), "SENSOR_FOREIGN"), "no marker");
  t.ok(hasCode(await refusal(({ module }) => { module.level = 3; }), "SENSOR_LEVEL_LOWERED"), "level 3");
  t.ok(hasCode(await refusal(({ store }) => { store.saves.length = 0; }), "SENSOR_PAIRED_ELSEWHERE"), "paired elsewhere");
});

void t.test("the same checks once more after the touch", async (t) => {
  const changes: readonly (readonly [string, (module: Awaited<ReturnType<typeof pairedBench>>["module"]) => void])[] = [
    ["SENSOR_FOREIGN", (module) => { module.takesAnyPassword = true; }],
    ["SENSOR_FOREIGN", (module) => { module.notepad = new Uint8Array(32); }],
    ["SENSOR_LEVEL_LOWERED", (module) => { module.level = 1; }],
  ];
  for (const [code, change] of changes) {
    const { sensor, module, alice } = await pairedBench();
    module.presses = ["", "alice"];
    module.faults.push({ opcode: op.upload, instead: (reply, say) => { change(module); for (const packet of reply) say(packet); } });
    t.ok(hasCode(await sensor.identify({ timeoutMs, fingers: [alice] }, never).catch((error: unknown) => error), code), code);
  }
});

const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
type Instead = Fault["instead"];

/** hardware/fingerprint.md §8. Each is put into every step of a touch in turn. */
const spoilt: Readonly<Record<string, Instead>> = {
  "no reply": () => undefined,
  "a flipped byte": (reply, say) => { reply.forEach((packet, index) => { say(index === reply.length - 1 ? flip(packet, packet.length - 3) : packet); }); },
  "a dropped byte": (reply, say) => { reply.forEach((packet, index) => { say(index === 0 ? packet.subarray(1) : packet); }); },
  "a bad checksum": (reply, say) => { reply.forEach((packet) => { say(flip(packet, packet.length - 1)); }); },
  "a bad length": (reply, say) => { reply.forEach((packet) => { say(flip(packet, 7)); }); },
  "a wrong type": (reply, say) => { reply.forEach((packet) => { say(flip(packet, 6)); }); },
  "a wrong address": (reply, say) => { reply.forEach((packet) => { say(flip(packet, 3)); }); },
  "a double reply": (reply, say) => { for (const packet of [...reply, ...reply]) say(packet); },
  "a stray 55h": (reply, say) => { for (const packet of [Uint8Array.of(0x55), ...reply]) say(packet); },
  "an inserted byte": (reply, say) => { for (const packet of [Uint8Array.of(0xa7), ...reply]) say(packet); },
  "must verify first (21h)": (_reply, say) => { say(ack(0x21)); },
  "a packet error (01h)": (_reply, say) => { say(ack(0x01)); },
  "another command's reply": (_reply, say) => { say(ack(0x0e)); },
};

for (const [name, instead] of Object.entries(spoilt)) {
  for (const [step, opcode] of Object.entries({ features: op.features, search: op.search, load: op.load, upload: op.upload, notepad: op.readNotepad, parameters: op.parameters })) {
    void t.test(`${name} at ${step}: the touch is dropped and asked for again`, async (t) => {
      const { sensor, module, alice } = await pairedBench();
      module.presses = ["", "alice", "", "alice"];
      const afterVerification = opcode === op.readNotepad || opcode === op.parameters ? 1 : 0;
      module.faults.push({ opcode, after: afterVerification, instead });
      t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched", slot: 0 });
      t.equal(module.faults.length, 0, "the fault was met");
      t.equal(module.count(op.features), 2, "by a second touch");
    });
  }
}

void t.test("a doubled reply cannot hide that this touch had no features", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  module.presses = ["", "alice"];
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" });
  // The second 00 of the capture comes when the features' reply is awaited; those fail, and alice's old ones are still there.
  module.presses = ["", "?", ""];
  module.faults.push({ opcode: op.image, after: 1, instead: (reply, say) => { for (const packet of reply) say(packet); setImmediate(() => { say(ack(0)); }); } });
  module.faults.push({ opcode: op.features, instead: (reply, say) => { setImmediate(() => { for (const packet of reply) say(packet); }); } });
  t.same(await sensor.identify({ timeoutMs: 8000, fingers: [alice] }, never), { outcome: "timeout" });
});

void t.test("a late reply is dropped", async (t) => {
  const { sensor, module, alice, clock } = await pairedBench();
  module.presses = ["", "alice", "", "mallory"];
  module.faults.push({ opcode: op.search, instead: (reply, say) => { clock.after(3100, () => { for (const packet of reply) say(packet); }); } });
  t.same(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "refused", reason: "unknown-finger" });
});

void t.test("data that never ends, and data without an end", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  module.presses = ["", "alice", "", "alice"];
  module.faults.push({ opcode: op.upload, instead: (reply, say) => { for (let n = 0; n < 100; n++) say(reply[n === 0 ? 0 : 1]!); } });
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" });
  module.presses = ["", "alice", "", "alice"];
  module.faults.push({ opcode: op.upload, instead: (reply, say) => { for (const packet of reply.slice(0, -1)) say(packet); } });
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" }, "missing 08");
});

void t.test("a sensor that stays out of order is named, and serves again when it is mended", async (t) => {
  const { sensor, module, alice } = await pairedBench();
  const serve = module.line.script;
  module.line.script = () => undefined;
  t.ok(hasCode(await sensor.identify({ timeoutMs, fingers: [alice] }, never).catch((error: unknown) => error), "SENSOR_SILENT"));
  module.line.script = (_sent, say) => { say(ack(0x21)); };
  t.ok(hasCode(await sensor.identify({ timeoutMs, fingers: [alice] }, never).catch((error: unknown) => error), "SENSOR_LOCKED"));
  module.line.script = serve;
  module.presses = ["", "alice"];
  t.match(await sensor.identify({ timeoutMs, fingers: [alice] }, never), { outcome: "matched" });
  const pending = sensor.identify({ timeoutMs, fingers: [alice] }, never);
  void module.line.close();
  t.ok(hasCode(await pending.catch((error: unknown) => error), "SENSOR_ABSENT"), "unplugged");
});

void t.test("an older module: GenImg instead of GetImageEx, and no R503 commands", async (t) => {
  const { sensor, module } = bench();
  module.r503 = false;
  await sensor.pair();
  module.enrolled(3, "carol", 566);
  module.packetSizeCode = 1;
  module.presses = ["", "carol"];
  const carol = known(3, module.library.get(3)!);
  t.match(await sensor.identify({ timeoutMs, fingers: [carol] }, never), { outcome: "matched", slot: 3 }, "a template of 566 bytes in packets of 64");
  t.notOk(module.opcodes.includes(op.product));
});
