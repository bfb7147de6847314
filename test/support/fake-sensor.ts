import type { Bridge, Identification } from "../../firmware-bridge/client.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { sha256 } from "./hash.ts";

interface Waiting {
  readonly prompt: string;
  readonly fingers: readonly { readonly slot: number; readonly digestPrefix: Uint8Array; readonly digest: Uint8Array }[];
  readonly resolve: (outcome: Identification) => void;
}

/** A sensor for simulations of the logic: fingers are names, a template is its finger's name. */
export class FakeSensor implements Bridge {
  readonly #slots = new Map<number, string>();
  #waiting: Waiting | undefined;
  #enrolling: ((finger: string) => void) | undefined;

  get isWaiting(): boolean { return this.#waiting !== undefined || this.#enrolling !== undefined; }

  /** One touch and lift. Nothing happens if nobody waits. */
  touch(finger: string): void {
    if (this.#enrolling !== undefined) { this.#enrolling(finger); return; }
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    const slot = [...this.#slots].find(([, name]) => name === finger)?.[0];
    const known = waiting.fingers.find((one) => one.slot === slot);
    if (slot === undefined || known === undefined) { waiting.resolve({ outcome: "refused", reason: "unknown-finger" }); return; }
    const digest = sha256(known.digestPrefix, new TextEncoder().encode(finger));
    const same = Buffer.from(digest).equals(Buffer.from(known.digest));
    waiting.resolve(same ? { outcome: "matched", slot, score: 100, digest, emulated: true } : { outcome: "refused", reason: "template-changed" });
  }

  status: Bridge["status"] = () => Promise.resolve({ state: "ready", emulated: true });
  pair: Bridge["pair"] = () => this.status();
  identify: Bridge["identify"] = ({ prompt, fingers }) => {
    if (this.#waiting !== undefined) return Promise.reject(new ShardkeepError("SENSOR_BUSY", "busy"));
    return new Promise((resolve) => { this.#waiting = { prompt, fingers, resolve }; });
  };
  cancel: Bridge["cancel"] = ({ prompt }) => {
    if (this.#waiting?.prompt === prompt) {
      this.#waiting.resolve({ outcome: "cancelled" });
      this.#waiting = undefined;
    }
    return Promise.resolve();
  };
  enrol: Bridge["enrol"] = async ({ taken = [], digestPrefix }) => {
    const finger = await new Promise<string>((resolve) => { this.#enrolling = resolve; });
    this.#enrolling = undefined;
    let slot = 0;
    while (this.#slots.has(slot) || taken.includes(slot)) slot += 1;
    this.#slots.set(slot, finger);
    return { slot, digest: sha256(digestPrefix, new TextEncoder().encode(finger)), emulated: true };
  };
  exportTemplate: Bridge["exportTemplate"] = ({ slot }) => Promise.resolve(new TextEncoder().encode(this.#slots.get(slot) ?? ""));
  importTemplate: Bridge["importTemplate"] = ({ slot, template }) => { this.#slots.set(slot, new TextDecoder().decode(template)); return Promise.resolve(); };
  remove: Bridge["remove"] = ({ slot }) => { this.#slots.delete(slot); return Promise.resolve(); };
  readonly lit: string[] = [];
  light: Bridge["light"] = ({ state }) => {
    this.lit.push(state);
    return Promise.resolve();
  };
}
