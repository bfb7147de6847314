import { ControlLine } from "../control-line.ts";
import { EmulatorError } from "../errors.ts";
import { panelReply, type PanelReply, type PanelState } from "./messages.ts";

export type { PanelState, Shown } from "./messages.ts";

/** The hand of a test or a demo on an emulated panel: whatever a person could do to a real one, and to its wire. */
export class PanelControl {
  readonly #line: ControlLine<PanelReply>;

  /** @throws CONTROL_UNREACHABLE */
  static async connect(socketPath: string): Promise<PanelControl> {
    return new PanelControl(await ControlLine.connect(socketPath, panelReply));
  }

  private constructor(line: ControlLine<PanelReply>) {
    this.#line = line;
  }

  async lid(to: "open" | "closed"): Promise<void> {
    await this.#line.ask({ cmd: "lid", to });
  }

  async button(to: "pressed" | "released"): Promise<void> {
    await this.#line.ask({ cmd: "button", to });
  }

  async cell(to: "on" | "off"): Promise<void> {
    await this.#line.ask({ cmd: "cell", to });
  }

  async state(): Promise<PanelState> {
    const { state } = await this.#line.ask({ cmd: "state" });
    if (state === undefined) throw new EmulatorError("CONTROL_BAD_REPLY", "the emulated panel told no state");
    return state;
  }

  /** The host's port hangs up, and the supply is gone. */
  async unplug(): Promise<void> {
    await this.#line.ask({ cmd: "unplug" });
  }

  async replug(): Promise<void> {
    await this.#line.ask({ cmd: "replug" });
  }

  /** As `unplug`, and the coin cell fails too. */
  async cut(): Promise<void> {
    await this.#line.ask({ cmd: "cut" });
  }

  /** Brown-out. */
  async reset(): Promise<void> {
    await this.#line.ask({ cmd: "reset" });
  }

  async noise(to: "host" | "panel", bytes: Uint8Array): Promise<void> {
    await this.#line.ask({ cmd: "noise", to, bytes: [...bytes] });
  }

  async lose(to: "host" | "panel", count: number): Promise<void> {
    await this.#line.ask({ cmd: "lose", to, count });
  }

  close(): void {
    this.#line.close();
  }
}
