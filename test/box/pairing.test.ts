import t from "tap";
import type { Bridge } from "../../firmware-bridge/client.ts";
import type { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { pairNewSensor } from "../../agent/box/pairing.ts";
import type { Log } from "../../agent/runtime/log.ts";

/** What becomes of a sensor in `state` at box-1, under a record that is sealed or not and names a finger at each of these boxes. */
async function met(state: "unpaired" | "foreign" | "ready", sealed: boolean, enrolledAt: readonly string[], fails = false): Promise<string[]> {
  const happened: string[] = [];
  const note = (event: string): void => { happened.push(event); };
  const log: Log = { info: note, warn: note, error: note };
  const pair = (): Promise<never> => {
    happened.push("pair");
    return fails ? Promise.reject(new Error("line")) : Promise.resolve({ state: "ready", emulated: false } as never);
  };
  const body = { sealed, people: [{ id: "alice", roles: [], fingers: enrolledAt.map((box) => ({ box })) }] };
  await pairNewSensor({ box: "box-1", bridge: { pair } as unknown as Bridge, records: { current: { body } } as unknown as RecordKeeper, log }, { state });
  return happened;
}

void t.test("a new sensor is paired as long as nobody's finger depends on which one it is", async (t) => {
  const paired = ["pair", "sensor paired"];
  t.strictSame(await met("unpaired", false, []), paired, "while the site is made");
  t.strictSame(await met("unpaired", false, ["box-1"]), paired, "also when the enrolling has begun");
  t.strictSame(await met("unpaired", true, []), paired, "a box that joined after the seal");
  t.strictSame(await met("unpaired", true, ["box-2"]), paired, "people enrolled elsewhere are no matter");
  t.strictSame(await met("unpaired", true, ["box-2", "box-1"]), ["sensor is not paired"], "from then on it is a foreign one");
  t.strictSame(await met("foreign", false, []), [], "a box that had one takes no other");
  t.strictSame(await met("ready", false, []), []);
  t.strictSame(await met("unpaired", true, [], true), ["pair", "sensor not paired"]);
});
