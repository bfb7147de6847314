import t from "tap";
import { ActiveFaults } from "../../../../firmware-bridge/emulators/sensor/faults/active.ts";
import { misbehave } from "../../../../firmware-bridge/emulators/sensor/faults/answers.ts";
import { fault, isAnswerFault, isIncident, type FaultRequest } from "../../../../firmware-bridge/emulators/sensor/faults/fault.ts";
import { happen } from "../../../../firmware-bridge/emulators/sensor/faults/incidents.ts";
import { PureModule } from "../support/module.ts";

/** What the module says to `opcode` with this fault; "itself" where it behaves. */
function says(module: PureModule, request: FaultRequest, opcode: number, lastMatch: Uint8Array | null = null): string {
  const parsed = fault.parse(request);
  if (!isAnswerFault(parsed)) throw new Error(`${parsed.name} is no answer fault`);
  const outcome = misbehave(parsed, module.state, opcode, lastMatch);
  if (outcome === null) return "itself";
  module.state = outcome.state;
  return Buffer.from(outcome.acks[0] ?? []).toString("hex");
}

function suffer(module: PureModule, request: FaultRequest): void {
  const parsed = fault.parse(request);
  if (!isIncident(parsed)) throw new Error(`${parsed.name} is no incident`);
  module.state = happen(module.profile, module.state, parsed);
}

void t.test("flash error: 18 to whatever writes, and nothing is written", (t) => {
  const module = new PureModule();
  for (const opcode of [0x06, 0x0c, 0x0d, 0x0e, 0x12, 0x15, 0x18]) t.equal(says(module, { name: "flash-error" }, opcode), "18", String(opcode));
  for (const opcode of [0x01, 0x04, 0x07, 0x13]) t.equal(says(module, { name: "flash-error" }, opcode), "itself", String(opcode));
  t.equal(says(module, { name: "answer", opcode: 0x36, code: 0x29 }, 0x36), "29");
  t.end();
});

void t.test("a module that accepts any password is open then", (t) => {
  const module = new PureModule("r503", { password: 7 });
  t.equal(module.say("40"), "21");
  t.equal(says(module, { name: "accept-any-password" }, 0x13), "00");
  t.equal(module.say("40"), "00");
  t.equal(says(module, { name: "accept-any-password" }, 0x01), "itself");
  t.end();
});

void t.test("a replay says what the last match said, with no finger there", (t) => {
  const module = new PureModule();
  const replay = { name: "replay-match" } as const;
  t.equal(says(module, replay, 0x04), "itself", "nothing recorded yet");
  const recorded = Uint8Array.of(0, 0, 7, 0, 96);
  t.same([0x01, 0x28, 0x02, 0x04, 0x1b].map((opcode) => says(module, replay, opcode, recorded)), ["00", "00", "00", "0000070060", "0000070060"]);
  t.equal(says(module, replay, 0x13, recorded), "itself");
  t.end();
});

void t.test("a substituted template opens the slot to another finger", (t) => {
  const module = new PureModule();
  module.enrol("alice", 2);
  suffer(module, { name: "substitute-template", slot: 2, finger: "mallory" });
  module.capture("mallory", 1);
  t.match(module.say("04 01 0000 00C8"), /^000002/);
  module.capture("alice", 1);
  t.match(module.say("04 01 0000 00C8"), /^09/);
  t.equal(module.say("1D"), "000001", "the count shows nothing");
  t.end();
});

void t.test("a changed slot map, a lowered level, a silent loss of power", (t) => {
  const module = new PureModule("r503", { password: 9, security: 4 });
  module.say("13 00000009");
  module.enrol("alice", 2);
  suffer(module, { name: "move-template", from: 2, to: 9 });
  module.capture("alice", 1);
  t.match(module.say("04 01 0000 00C8"), /^000009/);
  t.throws(() => { suffer(module, { name: "move-template", from: 2, to: 3 }); }, { code: "SLOT_EMPTY" });
  suffer(module, { name: "lower-security" });
  t.equal(module.say("0F").slice(14, 18), "0001");
  const { flash } = module.state;
  suffer(module, { name: "silent-repower" });
  t.equal(module.say("01"), "21");
  t.equal(module.state.flash, flash, "flash is as it was");
  suffer(module, { name: "unsolicited-55" });
  t.equal(module.say("13 00000009"), "00", "a stray byte alone changes nothing");
  t.end();
});

void t.test("faults wait for their command and are used up", (t) => {
  const active = new ActiveFaults();
  const ack = [new Uint8Array(12)];
  active.add(fault.parse({ name: "silent", opcode: 0x04, times: 2 }));
  active.add(fault.parse({ name: "double" }));
  t.equal(active.takeWire(0x01, ack)?.name, "double");
  t.equal(active.takeWire(0x01, ack), null);
  t.equal(active.takeWire(0x04, ack)?.name, "silent");
  t.same(active.names, ["silent"]);
  t.equal(active.takeWire(0x04, ack)?.name, "silent");
  t.equal(active.takeWire(0x04, ack), null);
  active.add(fault.parse({ name: "accept-any-password" }));
  for (let n = 0; n < 5; n++) t.equal(active.takeAnswer(0x13, () => "yes"), "yes", "an attacker stays");
  t.equal(active.takeAnswer(0x13, () => null), null);
  t.notOk(active.baudMismatch);
  active.add(fault.parse({ name: "baud-mismatch" }));
  t.ok(active.baudMismatch);
  active.clear();
  t.same([active.names, active.baudMismatch], [[], false]);
  t.end();
});
