import { described, toWire } from "../../agent/runtime/errors.ts";
import type { Handlers } from "../../agent/runtime/ipc.ts";
import type { LightState } from "../biometrics/sensor.ts";
import type { PanelCalls, PanelStatus } from "../calls.ts";
import type { Connected } from "../serial/supervisor.ts";
import { PanelError } from "./errors.ts";
import type { Panel } from "./panel.ts";
import { shows, type PanelState } from "./states.ts";

export interface PanelConnection extends Connected {
  readonly panel: Panel;
}

export interface PanelServiceOptions {
  /** Whether there should be one. */
  readonly configured: boolean;
  readonly onStatus: (status: PanelStatus) => void;
  /** The sensor's ring light. */
  readonly ring: (state: LightState) => Promise<void>;
}

/** What the process offers of the panel: it remembers what should be seen, for the panel that comes next. */
export class PanelService {
  readonly #options: PanelServiceOptions;
  #connection: PanelConnection | undefined;
  #status: PanelStatus;
  #shown: PanelState | undefined;
  #printed: readonly string[] | undefined;

  constructor(options: PanelServiceOptions) {
    this.#options = options;
    this.#status = { state: options.configured ? "absent" : "none", emulated: false };
  }

  readonly handlers: Handlers<PanelCalls> = {
    panel: () => this.#status,
    show: ({ state }) => this.#show(state),
    print: ({ lines }) => {
      this.#printed = lines;
      this.#present().print(lines);
      return null;
    },
    clearTamper: async ({ counter }) => {
      await this.#present().clearTamper(counter);
      return this.#status;
    },
  };

  connected(connection: PanelConnection): void {
    this.#connection = connection;
    const { panel } = connection;
    panel.onChange(() => { if (this.#connection === connection) this.#tell(panel); });
    if (this.#shown !== undefined) panel.show(this.#shown);
    if (this.#printed !== undefined && panel.facts.display) panel.print(this.#printed);
    this.#tell(panel);
  }

  /** `reason`: why there is none, or undefined when the one there was has gone. */
  disconnected(reason: unknown): void {
    this.#connection = undefined;
    const why = reason ?? absent();
    const { code } = toWire(why);
    this.#set({ state: code === "EMULATED_REFUSED" ? "fault" : "absent", emulated: code === "EMULATED_REFUSED", detail: described(why) });
  }

  /** On the panel, and on the ring light where no prompt has it. */
  async #show(state: PanelState): Promise<null> {
    this.#shown = state;
    this.#connection?.panel.show(state);
    // A prompt shows what it needs by itself, and a box may be without a sensor for a while.
    await this.#options.ring(shows[state].ring).catch(() => undefined);
    return null;
  }

  #present(): Panel {
    if (this.#connection === undefined) throw absent();
    return this.#connection.panel;
  }

  #tell(panel: Panel): void {
    this.#set({ state: "ready", emulated: panel.line.emulated, ...panel.facts });
  }

  #set(status: PanelStatus): void {
    const changed = JSON.stringify(status) !== JSON.stringify(this.#status);
    this.#status = status;
    if (changed) this.#options.onStatus(status);
  }
}

function absent(): PanelError {
  return new PanelError("PANEL_ABSENT", "no panel is connected", { retryable: true, remedy: "check its cable, and `panel` in the configuration" });
}
