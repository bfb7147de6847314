import { code } from "../codes.ts";
import { answer, type Outcome } from "../command.ts";
import { withRam, type State } from "../state.ts";
import type { AnswerFault } from "./fault.ts";

const verifyPassword = 0x13;
const captures: ReadonlySet<number> = new Set([0x01, 0x28, 0x02]);
export const searches: ReadonlySet<number> = new Set([0x04, 0x1b]);
const flashWrites: ReadonlySet<number> = new Set([0x06, 0x0c, 0x0d, 0x0e, 0x12, 0x15, 0x18]);

/**
 * What a faulty or hostile module answers instead of doing `opcode`; null where it behaves.
 * @param lastMatch content of the ack of the last search that found somebody
 */
export function misbehave(fault: AnswerFault, state: State, opcode: number, lastMatch: Uint8Array | null): Outcome | null {
  switch (fault.name) {
    case "answer": return answer(state, fault.code);
    case "flash-error": return flashWrites.has(opcode) ? answer(state, code.flashError) : null;
    case "accept-any-password": return opcode === verifyPassword ? answer(withRam(state, { verified: true }), code.done) : null;
    case "replay-match":
      if (lastMatch === null) return null;
      if (captures.has(opcode)) return answer(state, code.done);
      return searches.has(opcode) ? { state, acks: [lastMatch] } : null;
  }
}
