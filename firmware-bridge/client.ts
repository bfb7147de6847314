import type { Args, Result } from "../agent/runtime/ipc.ts";
import type { Log } from "../agent/runtime/log.ts";
import { Supervised } from "../agent/runtime/supervisor.ts";
import { bridgeCalls, bridgeEvents, type BridgeCalls, type BridgeConfig, type EnrolStep, type Identification, type PanelStatus, type SensorStatus } from "./calls.ts";

export { enrolPrompt, type BridgeConfig, type EnrolStep, type Identification, type Matched, type PanelStatus, type SensorStatus } from "./calls.ts";

type CallArgs<K extends keyof BridgeCalls> = Args<BridgeCalls, K>;
type CallResult<K extends keyof BridgeCalls> = Result<BridgeCalls, K>;

/** The sensor of a box, as the agent sees it. Errors: docs/sensor.md; SENSOR_BUSY while a prompt or enrolment is served. */
export interface Bridge {
  /** What is known without asking the sensor. */
  status(): Promise<SensorStatus>;
  /** Pairs a sensor that is free, or renews the parameters of our own. SENSOR_PAIRED_ELSEWHERE, SENSOR_FOREIGN. */
  pair(): Promise<SensorStatus>;
  /**
   * One prompt, one touch, one outcome. A finger that lies on the sensor already does not count: it must be
   * lifted first. A touch that the line spoilt is asked for again. Rejects when the sensor is not in order.
   */
  identify(request: CallArgs<"identify">): Promise<Identification>;
  /** Ends the identification with this prompt id, or with `enrolPrompt` the enrolment; else does nothing. */
  cancel(request: CallArgs<"cancel">): Promise<void>;
  /** Stores a new finger in `slot`, or the first that is free and not `taken`; on ENROL_FAILED nothing of it stays. */
  enrol(request: CallArgs<"enrol">, onProgress?: (step: EnrolStep) => void): Promise<CallResult<"enrol">>;
  /** At most 4096 bytes. SLOT_EMPTY. */
  exportTemplate(request: CallArgs<"exportTemplate">): Promise<Uint8Array>;
  /** SLOT_TAKEN, TEMPLATE_INVALID. */
  importTemplate(request: CallArgs<"importTemplate">): Promise<void>;
  remove(request: CallArgs<"remove">): Promise<void>;
  light(request: CallArgs<"light">): Promise<void>;
}

/** The panel of a box, as the agent sees it. Errors: docs/operations.md. */
export interface PanelBridge {
  /** What is known of the panel; `state: none` where none is configured. */
  panel(): Promise<PanelStatus>;
  /** A state to be seen and heard on the panel, and on the ring light unless a prompt has it; also on a panel that comes later. */
  show(request: CallArgs<"show">): Promise<void>;
  /** Up to two lines, of which the display shows 16 characters each. PANEL_ABSENT, PANEL_NO_DISPLAY. */
  print(request: CallArgs<"print">): Promise<void>;
  /** Forgets the latch, if nothing has happened since `counter` was read. PANEL_ABSENT, PANEL_NO_LATCH, PANEL_SILENT, TAMPER_STALE, LID_OPEN. */
  clearTamper(request: CallArgs<"clearTamper">): Promise<PanelStatus>;
}

export interface BridgeProcessOptions {
  readonly config: BridgeConfig;
  readonly log: Log;
  /** The sensor's status, at the start and whenever it changed. */
  readonly onSensor?: (status: SensorStatus) => void;
  /** The panel's status, whenever it changed. */
  readonly onPanel?: (status: PanelStatus) => void;
  /** Held by the process for its life: one owner of the lines. */
  readonly lockFile?: string;
  /** The compiled main.js; default: the one beside this module. */
  readonly entry?: URL;
  /** Its log goes nowhere. Default false. */
  readonly quiet?: boolean;
}

/** Beyond a prompt's own time: the last command's deadline, realigning, a verification. */
const slackMs = 20_000;
/** Calls that a silent sensor may hold up for several command deadlines, or a long transfer. */
const sensorMs = 60_000;

/** The firmware-bridge as a supervised child process. */
export class BridgeProcess implements Bridge, PanelBridge {
  readonly #process: Supervised<BridgeCalls>;
  #onEnrolStep: ((step: EnrolStep) => void) | undefined;

  constructor({ config, log, onSensor, onPanel, lockFile, entry, quiet = false }: BridgeProcessOptions) {
    this.#process = new Supervised({
      name: "firmware-bridge",
      entry: entry ?? new URL("./main.js", import.meta.url),
      args: [JSON.stringify(config)],
      calls: bridgeCalls,
      log, quiet,
      ...(lockFile === undefined ? {} : { lockFile }),
      onEvent: (event, value) => {
        if (event === "sensor") {
          const status = bridgeEvents.sensor.safeParse(value);
          if (status.success) onSensor?.(status.data);
        } else if (event === "panel") {
          const status = bridgeEvents.panel.safeParse(value);
          if (status.success) onPanel?.(status.data);
        } else if (event === "enrol") {
          const step = bridgeEvents.enrol.safeParse(value);
          if (step.success) this.#onEnrolStep?.(step.data);
        }
      },
    });
  }

  start(): Promise<void> {
    return this.#process.start();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  status(): Promise<SensorStatus> {
    return this.#process.call("status", {});
  }

  pair(): Promise<SensorStatus> {
    return this.#process.call("pair", {}, { deadlineMs: sensorMs });
  }

  /** When a box ends: every finger out of the sensor, and its password the factory's. No agent asks for it. SENSOR_FOREIGN, SENSOR_PAIRED_ELSEWHERE. */
  unpair(): Promise<SensorStatus> {
    return this.#process.call("unpair", {}, { deadlineMs: sensorMs });
  }

  identify(request: CallArgs<"identify">): Promise<Identification> {
    return this.#process.call("identify", request, { deadlineMs: request.timeoutMs + slackMs });
  }

  async cancel(request: CallArgs<"cancel">): Promise<void> {
    await this.#process.call("cancel", request);
  }

  enrol(request: CallArgs<"enrol">, onProgress?: (step: EnrolStep) => void): Promise<CallResult<"enrol">> {
    // The process enrols one finger at a time and answers SENSOR_BUSY to a second.
    this.#onEnrolStep = onProgress;
    return this.#process.call("enrol", request, { deadlineMs: request.timeoutMs + slackMs });
  }

  exportTemplate(request: CallArgs<"exportTemplate">): Promise<Uint8Array> {
    return this.#process.call("exportTemplate", request, { deadlineMs: sensorMs });
  }

  async importTemplate(request: CallArgs<"importTemplate">): Promise<void> {
    await this.#process.call("importTemplate", request, { deadlineMs: sensorMs });
  }

  async remove(request: CallArgs<"remove">): Promise<void> {
    await this.#process.call("remove", request, { deadlineMs: sensorMs });
  }

  async light(request: CallArgs<"light">): Promise<void> {
    await this.#process.call("light", request, { deadlineMs: sensorMs });
  }
  panel(): Promise<PanelStatus> {
    return this.#process.call("panel", {});
  }

  async show(request: CallArgs<"show">): Promise<void> {
    await this.#process.call("show", request, { deadlineMs: sensorMs });
  }

  async print(request: CallArgs<"print">): Promise<void> {
    await this.#process.call("print", request);
  }

  clearTamper(request: CallArgs<"clearTamper">): Promise<PanelStatus> {
    return this.#process.call("clearTamper", request);
  }
}
