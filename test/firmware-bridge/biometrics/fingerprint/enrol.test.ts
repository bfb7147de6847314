import t from "tap";
import { hasCode, ShardkeepError } from "../../../../agent/runtime/errors.ts";
import type { EnrolStep } from "../../../../firmware-bridge/biometrics/sensor.ts";
import { ack, op } from "../../support/scripted-module.ts";
import { bench, known, never, pairedBench } from "../../support/sensor.ts";

const request = { digestPrefix: new Uint8Array(Buffer.from("prefix")), timeoutMs: 60_000 };
const touches = (...names: readonly string[]): string[] => names.flatMap((name) => ["", name]);
const carol = touches("carol", "carol", "carol", "carol", "carol");
const ignore = (): void => undefined;

async function failedEnrolment(presses: string[], spoil: (module: Awaited<ReturnType<typeof pairedBench>>["module"]) => void = ignore) {
  const { sensor, module } = await pairedBench();
  module.presses = presses;
  spoil(module);
  const error: unknown = await sensor.enrol({ ...request, timeoutMs: 5000 }, ignore, never).then(() => "resolved", (reason: unknown) => reason);
  return { error, slots: [...module.library.keys()] };
}

void t.test("a finger is enrolled in the first free slot, found again, and its template digested", async (t) => {
  const { sensor, module } = await pairedBench();
  module.presses = [...carol];
  const steps: EnrolStep[] = [];
  const enrolled = await sensor.enrol(request, (step) => { steps.push(step); }, never);
  t.same(enrolled, { slot: 1, digest: known(1, module.library.get(1)!).digest, emulated: true });
  t.same(steps, [1, 2, 3, 4, 5].flatMap((n) => ["lift", "touch", "captured"].map((step) => ({ step, n, of: 5 }))));
  module.presses = touches("carol");
  t.match(await sensor.identify({ timeoutMs: 5000, fingers: [{ ...enrolled, digestPrefix: request.digestPrefix }] }, never), { outcome: "matched", slot: 1 });
});

void t.test("slots: wanted, taken, beyond, full", async (t) => {
  const { sensor, module } = await pairedBench();
  module.presses = [...carol];
  t.match(await sensor.enrol({ ...request, taken: [1, 2] }, ignore, never), { slot: 3 }, "a slot that somebody's record names is not used");
  module.presses = touches(...Array.from({ length: 5 }, () => "dave"));
  t.match(await sensor.enrol({ ...request, slot: 150 }, ignore, never), { slot: 150 });
  t.ok(hasCode(await sensor.enrol({ ...request, slot: 7 }, ignore, never).catch((error: unknown) => error), "SLOT_TAKEN"));
  t.ok(hasCode(await sensor.enrol({ ...request, slot: 200 }, ignore, never).catch((error: unknown) => error), "SLOT_INVALID"));
  module.capacity = 2;
  module.enrolled(1, "erin");
  t.ok(hasCode(await sensor.enrol(request, ignore, never).catch((error: unknown) => error), "SLOT_TAKEN"));
});

void t.test("an older module takes two captures", async (t) => {
  const { sensor, module } = bench();
  module.r503 = false;
  await sensor.pair();
  module.presses = touches("carol", "carol", "carol");
  t.match(await sensor.enrol(request, ignore, never), { slot: 0 });
});

void t.test("what fails leaves nothing in the library", async (t) => {
  const cases: readonly (readonly [RegExp, Awaited<ReturnType<typeof failedEnrolment>>])[] = [
    [/do not belong to one finger/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.merge, instead: (_reply, say) => { say(ack(0x0a)); } }); })],
    [/could not write slot 1/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.store, instead: (_reply, say) => { say(ack(0x18)); } }); })],
    [/not found again/, await failedEnrolment(touches("carol", "carol", "carol", "carol", "mallory"))],
    [/found in slot 0.*already/, await failedEnrolment(touches("alice", "alice", "alice", "alice", "alice"))],
    [/timeout/, await failedEnrolment(touches("carol", "carol"))],
    [/reads differently/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.upload, instead: (reply, say) => { say(reply[0]!); say(reply.at(-1)!); } }); })],
    [/sent nothing/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.store, instead: ignore }); })],
    [/restarted/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.search, instead: (_reply, say) => { say(Uint8Array.of(0x55)); } }); })],
    [/disturbed/, await failedEnrolment([...carol], (module) => { module.faults.push({ opcode: op.load, instead: (reply, say) => { for (const packet of [...reply, ...reply]) say(packet); } }); })],
  ];
  for (const [why, { error, slots }] of cases) {
    t.ok(error instanceof ShardkeepError && error.code === "ENROL_FAILED" && why.test(error.message), `${String(why)}: ${String(error)}`);
    t.same(slots, [0, 7]);
  }
});

void t.test("cancelled after the store, the slot is emptied; if it cannot be, that is said", async (t) => {
  const { sensor, module } = await pairedBench();
  const abort = new AbortController();
  module.presses = touches("carol", "carol", "carol", "carol");
  module.faults.push({ opcode: op.store, instead: (reply, say) => { abort.abort(); for (const packet of reply) say(packet); } });
  t.match(await sensor.enrol(request, ignore, abort.signal).catch((error: unknown) => error), { code: "ENROL_FAILED", message: "cancelled" });
  t.same([...module.library.keys()], [0, 7]);
  module.presses = touches("carol", "carol", "carol", "carol");
  module.faults.push({ opcode: op.search, instead: () => { void module.line.close(); } });
  module.presses.push(...touches("carol"));
  t.match(await sensor.enrol(request, ignore, never).catch((error: unknown) => error), { code: "ENROL_FAILED", message: /slot 1 could not be emptied/ });
});

void t.test("templates move: export, import, remove", async (t) => {
  const from = await pairedBench();
  const template = await from.sensor.exportTemplate(7);
  t.same(template, from.module.library.get(7));
  t.ok(hasCode(await from.sensor.exportTemplate(9).catch((error: unknown) => error), "SLOT_EMPTY"));
  const to = await pairedBench();
  await to.sensor.importTemplate(20, template);
  t.same(to.module.library.get(20), template);
  t.ok(hasCode(await to.sensor.importTemplate(20, template).catch((error: unknown) => error), "SLOT_TAKEN"));
  t.ok(hasCode(await to.sensor.importTemplate(21, new Uint8Array(0)).catch((error: unknown) => error), "TEMPLATE_INVALID"));
  to.module.faults.push({ opcode: op.upload, instead: (reply, say) => { say(reply[0]!); say(reply.at(-1)!); } });
  t.ok(hasCode(await to.sensor.importTemplate(22, template).catch((error: unknown) => error), "TEMPLATE_INVALID"), "read back and compared");
  t.notOk(to.module.library.has(22));
  await to.sensor.remove(20);
  t.notOk(to.module.library.has(20));
});

void t.test("the ring light", async (t) => {
  const { sensor, module } = await pairedBench();
  for (const state of ["waiting", "refused", "off"] as const) await sensor.light(state);
  t.same(module.lights, [[1, 0x60, 2, 0], [2, 0x60, 1, 0], [4, 0x60, 2, 0]], "colours that every R503 has, shows without an end (Q26)");
});
