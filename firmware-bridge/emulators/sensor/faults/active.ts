import { isAnswerFault, isWireFault, type AnswerFault, type Fault, type WireFault } from "./fault.ts";
import { fits } from "./wire.ts";

interface Entry {
  readonly fault: Fault;
  left: number;
}

/** The faults that wait for their reply, oldest first. */
export class ActiveFaults {
  #entries: Entry[] = [];

  add(fault: Fault): void {
    const attacker = fault.name === "accept-any-password" || fault.name === "replay-match" || fault.name === "baud-mismatch";
    const times = "times" in fault ? fault.times : undefined;
    this.#entries.push({ fault, left: times ?? (attacker ? Infinity : 1) });
  }

  clear(): void {
    this.#entries = [];
  }

  get names(): string[] {
    return this.#entries.map(({ fault }) => fault.name);
  }

  get baudMismatch(): boolean {
    return this.names.includes("baud-mismatch");
  }

  /** The wire fault whose turn it is at a reply to `opcode`, used up once. */
  takeWire(opcode: number, packets: readonly Uint8Array[]): WireFault | null {
    for (const entry of this.#entries) {
      if (isWireFault(entry.fault) && meant(entry.fault, opcode) && fits(entry.fault, packets)) {
        this.#use(entry);
        return entry.fault;
      }
    }
    return null;
  }

  /** The first answer fault that makes `attempt` give something at `opcode`, used up once. */
  takeAnswer<R>(opcode: number, attempt: (fault: AnswerFault) => R | null): R | null {
    for (const entry of this.#entries) {
      if (!isAnswerFault(entry.fault) || !meant(entry.fault, opcode)) continue;
      const result = attempt(entry.fault);
      if (result === null) continue;
      this.#use(entry);
      return result;
    }
    return null;
  }

  #use(entry: Entry): void {
    entry.left -= 1;
    if (entry.left === 0) this.#entries = this.#entries.filter((other) => other !== entry);
  }
}

function meant(fault: WireFault | AnswerFault, opcode: number): boolean {
  return !("opcode" in fault) || fault.opcode === undefined || fault.opcode === opcode;
}
