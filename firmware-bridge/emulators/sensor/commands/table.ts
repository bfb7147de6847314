import { code } from "../codes.ts";
import { answer, type Commands, type Outcome, type Surroundings } from "../command.ts";
import type { Received } from "../packets.ts";
import type { Profile } from "../profiles.ts";
import { isLocked, withRam, type State } from "../state.ts";
import { captureCommands } from "./capture.ts";
import { extraCommands } from "./extras.ts";
import { libraryCommands } from "./library.ts";
import { systemCommands } from "./system.ts";
import { transferCommands } from "./transfer.ts";

const verifyPassword = 0x13;
const cancel = 0x30;
const silence = (state: State): Outcome => ({ state, acks: [] });

/** The commands of a model by opcode. */
export function commandsOf(profile: Profile): Commands {
  return Object.assign({}, systemCommands, captureCommands, libraryCommands, transferCommands, ...profile.extras.map((extra) => extraCommands[extra])) as Commands;
}

/** What a command packet that was addressed to this module does. */
export function execute(commands: Commands, state: State, packet: Received, around: Surroundings): Outcome {
  const [opcode = -1] = packet.content;
  if (!packet.intact || opcode === -1) return answer(state, code.badPacket);
  if (isLocked(around.profile, state) && opcode !== verifyPassword) return answer(state, code.locked);
  // Between the steps of an Auto command it listens to nothing but Cancel.
  if (state.ram.auto !== null && opcode !== cancel) return silence(state);
  // Whatever the command, it ends a transfer that the host began and left.
  const next = withRam(state, { download: null });
  const command = commands[opcode];
  if (command === undefined) return unknown(next, packet.content, around.profile);
  const parameters = packet.content.subarray(1);
  if (parameters.length !== command.parameters) return answer(next, code.badPacket);
  return command.run(next, new DataView(parameters.buffer, parameters.byteOffset, parameters.byteLength), around);
}

function unknown(state: State, content: Uint8Array, profile: Profile): Outcome {
  switch (profile.unknownOpcode) {
    case "unsupported": return answer(state, code.unsupported);
    case "echo": return { state, acks: [content] };
    case "silent": return silence(state);
  }
}
