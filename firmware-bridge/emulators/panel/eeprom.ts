import type { EEPROMBackend } from "avr8js";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { EmulatorError } from "../errors.ts";

const size = 1024;
const erased = 0xff;

/** The controller's EEPROM, and the file that keeps it byte by byte: killed at any moment, it is as after a power cut. */
export class Eeprom implements EEPROMBackend {
  readonly bytes: Uint8Array;
  readonly #file: number | null;

  /** @param path 1024 bytes; made if it is missing; without it the memory lasts as long as this object. @throws STATE_DAMAGED */
  constructor(path?: string) {
    if (path !== undefined && !existsSync(path)) writeFileSync(path, new Uint8Array(size).fill(erased), { mode: 0o600 });
    this.bytes = path === undefined ? new Uint8Array(size).fill(erased) : new Uint8Array(readFileSync(path));
    if (this.bytes.length !== size) throw new EmulatorError("STATE_DAMAGED", `${path ?? ""} is not the memory of an emulated panel`, { remedy: "remove the file to start with a new panel" });
    this.#file = path === undefined ? null : openSync(path, "r+");
  }

  readMemory(address: number): number {
    return this.bytes[address % size] ?? erased;
  }

  /** Programming only turns ones into zeros. */
  writeMemory(address: number, value: number): void {
    this.#keep(address, this.readMemory(address) & value);
  }

  eraseMemory(address: number): void {
    this.#keep(address, erased);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }

  #keep(address: number, value: number): void {
    this.bytes[address % size] = value;
    if (this.#file !== null) writeSync(this.#file, Uint8Array.of(value), 0, 1, address % size);
  }
}
