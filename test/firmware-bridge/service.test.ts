import t from "tap";
import { SensorError } from "../../firmware-bridge/biometrics/errors.ts";
import type { BiometricSensor, Identification, SensorStatus } from "../../firmware-bridge/biometrics/sensor.ts";
import { enrolPrompt } from "../../firmware-bridge/calls.ts";
import { SerialError } from "../../firmware-bridge/serial/errors.ts";
import { SensorService } from "../../firmware-bridge/service.ts";
import { ManualClock } from "./support/manual-clock.ts";

const ready: SensorStatus = { state: "ready", emulated: true };
const failure = (promise: unknown): Promise<unknown> => Promise.resolve(promise).then(() => "resolved", (error: unknown) => error);
const turns = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve, 20); });
const request = { prompt: "p1", timeoutMs: 1000, fingers: [] };

/** A sensor that does what the test says, and notes in which order. */
class FakeSensor implements BiometricSensor {
  readonly modality = "fingerprint";
  readonly class = "B";
  readonly did: string[] = [];
  status: SensorStatus = ready;
  answer: () => Promise<Identification> = () => Promise.resolve({ outcome: "timeout" });

  inspect = (): Promise<SensorStatus> => { this.did.push("inspect"); return Promise.resolve(this.status); };
  pair = (): Promise<void> => { this.did.push("pair"); return Promise.resolve(); };
  unpair = (): Promise<void> => { this.did.push("unpair"); this.status = { state: "unpaired", emulated: true }; return Promise.resolve(); };
  identify = (_request: unknown, signal: AbortSignal): Promise<Identification> => {
    this.did.push("identify");
    return Promise.race([this.answer(), new Promise<Identification>((resolve) => { signal.addEventListener("abort", () => { resolve({ outcome: "cancelled" }); }); })]);
  };
  enrol = (_request: unknown, _progress: unknown, signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => { signal.addEventListener("abort", () => { reject(new SensorError("ENROL_FAILED", "cancelled")); }); });
  exportTemplate = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(3));
  importTemplate = (): Promise<void> => Promise.resolve();
  remove = (): Promise<void> => Promise.resolve();
  light = (state: string): Promise<void> => { this.did.push(state); return Promise.resolve(); };
}

class IdleClock extends ManualClock {
  /** Timers that would come of themselves would let the idle inspection run without end. */
  readonly due: (() => void)[] = [];

  override after(_ms: number, task: () => void): () => void {
    this.due.push(task);
    return () => undefined;
  }
}

function serve() {
  const statuses: SensorStatus[] = [];
  const clock = new IdleClock();
  const service = new SensorService({ clock, onStatus: (status) => { statuses.push(status); }, onEnrol: () => undefined });
  const sensor = new FakeSensor();
  let disturb = (): void => undefined;
  let closed = false;
  const connect = (): void => {
    service.connected({
      sensor, closed: Promise.resolve(),
      close: () => { closed = true; return Promise.resolve(); },
      onUnasked: (listener) => { disturb = listener; },
    });
  };
  return { service, call: service.handlers, sensor, statuses, connect, clock, disturb: () => { disturb(); }, isClosed: () => closed };
}

void t.test("operations wait for the first look at the line, and are then refused by its reason", async (t) => {
  const { service, call, sensor, connect } = serve();
  const early = call.identify(request);
  connect();
  t.same(await early, { outcome: "timeout" });
  await turns();
  t.same(await call.status({}), ready);
  service.disconnected(undefined);
  t.match(await failure(call.identify(request)), { code: "SENSOR_ABSENT", retryable: true });
  service.disconnected(new SerialError("EMULATED_REFUSED", "a pseudo-terminal"));
  t.match(await failure(call.identify(request)), { code: "EMULATED_REFUSED" });
  t.match(await call.status({}), { state: "fault", emulated: true, detail: /^EMULATED_REFUSED/ });
  t.equal(sensor.did.filter((did) => did === "identify").length, 1);
});

void t.test("one prompt at a time; only its own id ends it", async (t) => {
  const { call, sensor, connect } = serve();
  connect();
  sensor.answer = () => new Promise(() => undefined);
  const first = call.identify(request);
  t.match(await failure((async () => call.identify({ ...request, prompt: "p2" }))()), { code: "SENSOR_BUSY", retryable: true });
  t.match(await failure((async () => call.light({ state: "ready" }))()), { code: "SENSOR_BUSY" });
  t.match(await failure((async () => call.exportTemplate({ slot: 1 }))()), { code: "SENSOR_BUSY" });
  await call.cancel({ prompt: "p2" });
  await turns();
  await call.cancel({ prompt: "p1" });
  t.same(await first, { outcome: "cancelled" });
  const enrolment = call.enrol({ digestPrefix: new Uint8Array(1), timeoutMs: 10 });
  await turns();
  await call.cancel({ prompt: enrolPrompt });
  t.match(await failure(enrolment), { code: "ENROL_FAILED" });
  t.same(await call.light({ state: "ready" }), null);
});

void t.test("short operations queue in order before a prompt", async (t) => {
  const { call, sensor, connect } = serve();
  connect();
  const light = call.light({ state: "waiting" });
  const prompt = call.identify(request);
  await Promise.all([light, prompt]);
  t.ok(sensor.did.indexOf("waiting") < sensor.did.indexOf("identify"));
});

void t.test("the status is told when it changes, and found out again after a failure, a disturbance and from time to time", async (t) => {
  const { call, sensor, connect, statuses, disturb, clock } = serve();
  connect();
  await turns();
  t.same(statuses, [ready]);
  disturb();
  await turns();
  t.equal(statuses.length, 1, "nothing changed, nothing told");
  t.equal(sensor.did.length, 2);
  sensor.status = { state: "foreign", emulated: true };
  sensor.answer = () => Promise.reject(new SensorError("SENSOR_FOREIGN", "swapped"));
  t.match(await failure(call.identify(request)), { code: "SENSOR_FOREIGN" });
  await turns();
  t.match(statuses.at(-1), { state: "foreign" });
  sensor.status = ready;
  clock.due.shift()!();
  await turns();
  t.match(statuses.at(-1), { state: "ready" });
  sensor.status = { state: "unpaired", emulated: true };
  t.match(await call.pair({}), { state: "unpaired" }, "pair answers with what it found afterwards");
  t.match(await call.unpair({}), { state: "unpaired" }, "and so does unpair");
  t.ok(sensor.did.includes("unpair"));
});

void t.test("a line on which nothing answers is given up, so that the sensor is looked for again", async (t) => {
  const { sensor, connect, isClosed } = serve();
  sensor.status = { state: "absent", emulated: true };
  connect();
  await turns();
  t.equal(isClosed(), true);
});
