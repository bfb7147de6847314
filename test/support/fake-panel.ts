import type { PanelBridge, PanelStatus } from "../../firmware-bridge/client.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

/** A panel as the agent sees it, with the firmware's latch: it outlives the agent. Without `latch` a stock board. */
export class FakePanel implements PanelBridge {
  readonly shown: string[] = [];
  readonly #latch: boolean;
  #tamper: NonNullable<PanelStatus["tamper"]> = { open: false, latched: false, damaged: false, counter: 0, unwatched: null };
  #button = false;
  #connected = true;
  display = false;
  onStatus: (status: PanelStatus) => void = () => undefined;

  constructor(latch = true) {
    this.#latch = latch;
  }

  get status(): PanelStatus {
    if (!this.#connected) return { state: "absent", emulated: false };
    return { state: "ready", emulated: true, firmware: "fake", latch: this.#latch, serial: null, display: this.display, tamper: this.#tamper, button: this.#button };
  }

  open(): void {
    this.#becomes({ open: true, ...(this.#latch ? { latched: true, counter: this.#tamper.counter + 1 } : {}) });
  }

  close(): void {
    this.#becomes({ open: false });
  }

  unwatched(from: number, to: number): void {
    this.#becomes({ unwatched: { from, to }, counter: this.#tamper.counter + 1 });
  }

  press(down: boolean): void {
    this.#button = down;
    this.onStatus(this.status);
  }

  plug(connected: boolean): void {
    this.#connected = connected;
    this.onStatus(this.status);
  }

  #becomes(change: Partial<NonNullable<PanelStatus["tamper"]>>): void {
    this.#tamper = { ...this.#tamper, ...change };
    this.onStatus(this.status);
  }

  panel(): Promise<PanelStatus> {
    return Promise.resolve(this.status);
  }

  show({ state }: { readonly state: string }): Promise<void> {
    this.shown.push(state);
    return Promise.resolve();
  }

  print(): Promise<void> {
    return Promise.resolve();
  }

  clearTamper({ counter }: { readonly counter: number }): Promise<PanelStatus> {
    const refuse = (code: string): Promise<never> => Promise.reject(new ShardkeepError(code, "as the firmware does"));
    if (!this.#connected) return refuse("PANEL_ABSENT");
    if (!this.#latch) return refuse("PANEL_NO_LATCH");
    if (counter !== this.#tamper.counter) return refuse("TAMPER_STALE");
    if (this.#tamper.open) return refuse("LID_OPEN");
    this.#becomes({ latched: false, damaged: false, unwatched: null, counter: counter + 1 });
    return Promise.resolve(this.status);
  }
}
