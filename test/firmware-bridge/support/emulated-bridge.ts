import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "#paths";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { silentLog } from "../../../agent/runtime/log.ts";
import { BridgeProcess, type EnrolStep, type Identification, type SensorStatus } from "../../../firmware-bridge/client.ts";
import { EmulatorProcess } from "./emulator.ts";

const entry = pathToFileURL(`${root}dist/firmware-bridge/main.js`);
export const digestPrefix = new Uint8Array(Buffer.from("site person finger"));
export const timeoutMs = 20_000;

export interface Finger {
  readonly slot: number;
  readonly digest: Uint8Array;
}

/** Two processes and a pseudo-terminal between them: driver and emulator, written apart from the same facts. */
export class EmulatedBridge {
  readonly emulator: EmulatorProcess;
  readonly bridge: BridgeProcess;
  readonly statuses: SensorStatus[] = [];

  private constructor(emulator: EmulatorProcess) {
    this.emulator = emulator;
    this.bridge = new BridgeProcess({
      config: { sensor: { path: emulator.link, allowEmulated: true, stateFile: join(emulator.folder, "pairing") } },
      log: silentLog, entry, onSensor: (status) => { this.statuses.push(status); },
    });
  }

  static async start(): Promise<EmulatedBridge> {
    const made = new EmulatedBridge(await EmulatorProcess.start(["--speed", "10"]));
    await made.bridge.start();
    return made;
  }

  async stop(): Promise<void> {
    await this.bridge.stop();
    await this.emulator.stop();
  }

  touch(finger: string): Promise<unknown> {
    return this.emulator.control({ cmd: "touch", finger });
  }

  lift(): Promise<unknown> {
    return this.emulator.control({ cmd: "lift" });
  }

  fault(name: string, how: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.emulator.control({ cmd: "fault", name, ...how });
  }

  async state(wanted: string): Promise<void> {
    while (this.statuses.at(-1)?.state !== wanted) await sleep(systemClock, 10);
  }

  /** Enrols with one of `fingers` for each of the five touches that are asked for. */
  async enrol(fingers: readonly string[]): Promise<Finger> {
    const follow = ({ step, n }: EnrolStep): void => {
      if (step === "lift") void this.lift();
      else if (step === "touch") void this.touch(fingers[n - 1] ?? "");
    };
    try {
      const { slot, digest } = await this.bridge.enrol({ digestPrefix, timeoutMs }, follow);
      return { slot, digest };
    } finally {
      await this.lift();
    }
  }

  identify(fingers: readonly Finger[], prompt = "prompt"): Promise<Identification> {
    return this.bridge.identify({ prompt, timeoutMs, fingers: fingers.map((known) => ({ ...known, digestPrefix })) });
  }

  /** How often the sensor was told to look for a finger: GenImg and GetImageEx. */
  async #looks(): Promise<number> {
    const { state } = await this.emulator.control({ cmd: "state" }) as { state: { commands: Record<string, number> } };
    return (state.commands["01"] ?? 0) + (state.commands["28"] ?? 0);
  }

  /** A person who touches until the prompt is over; the outcome, and how often it took. */
  async touchUntilOver(fingers: readonly Finger[], finger: string, holdMs = 600): Promise<{ outcome: Identification; touches: number }> {
    await this.lift();
    let over = false;
    const isOver = (): boolean => over;
    let touches = 0;
    const outcome = this.identify(fingers).finally(() => { over = true; });
    const hand = async (): Promise<void> => {
      for (;;) {
        // Two looks at an empty plate: what lies there before counts for nothing (protocol.md §3).
        const before = await this.#looks();
        while (!isOver() && await this.#looks() < before + 2) await sleep(systemClock, 20);
        if (isOver()) return;
        touches += 1;
        await this.touch(finger);
        for (let n = 0; n < holdMs / 10 && !isOver(); n++) await sleep(systemClock, 10);
        await this.lift();
      }
    };
    const [result] = await Promise.all([outcome, hand()]);
    return { outcome: result, touches };
  }
}

export interface EnrolledBridge {
  readonly bench: EmulatedBridge;
  readonly alice: Finger;
}

/** Paired, with the finger `alice-index` in slot 0. */
export async function enrolledBridge(t: { teardown: (task: () => Promise<void>) => void }): Promise<EnrolledBridge> {
  const bench = await EmulatedBridge.start();
  t.teardown(() => bench.stop());
  await bench.bridge.pair();
  return { bench, alice: await bench.enrol(Array.from({ length: 5 }, () => "alice-index")) };
}
