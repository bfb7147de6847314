import { code } from "../codes.ts";
import { answer, ascii, u16, u32, type Commands } from "../command.ts";
import type { Profile } from "../profiles.ts";
import { notepadPages, pageBytes, withFlash, withRam, type State } from "../state.ts";

/** System commands (hardware/fingerprint.md §2.1). */
export const systemCommands: Commands = {
  // VfyPwd. A wrong one ends the verified session: not documented, and the stricter of the two.
  0x13: { parameters: 4, run: (state, parameters) => {
    const verified = parameters.getUint32(0) === state.flash.password;
    return answer(withRam(state, { verified }), verified ? code.done : code.wrongPassword);
  } },
  // SetPwd. The running session stays open until power-off (Q22).
  0x12: { parameters: 4, run: (state, parameters) =>
    answer(withRam(withFlash(state, { password: parameters.getUint32(0) }), { verified: true }), code.done) },
  // SetAdder. Its ack is sent from the state after it, so it carries the new address.
  0x15: { parameters: 4, run: (state, parameters) => answer(withFlash(state, { address: parameters.getUint32(0) }), code.done) },
  // SetSysPara
  0x0e: { parameters: 2, run: (state, parameters, { profile }) => {
    const [register, value] = [parameters.getUint8(0), parameters.getUint8(1)];
    if (register === 4) {
      if (!profile.bauds.includes(value)) return answer(state, code.badValue);
      return answer(withRam(withFlash(state, { baud: value }), profile.baudActsAtOnce ? { baud: value } : {}), code.done);
    }
    if (register === 5) return value >= 1 && value <= 5 ? answer(withFlash(state, { security: value }), code.done) : answer(state, code.badValue);
    if (register === 6) return value <= 3 ? answer(withFlash(state, { packetSize: value }), code.done) : answer(state, code.badValue);
    return answer(state, code.badRegister);
  } },
  // ReadSysPara
  0x0f: { parameters: 0, run: (state, _, { profile }) => answer(state, code.done, ...systemParameters(profile, state)) },
  // Control: its port is this line, which stays open.
  0x17: { parameters: 1, run: (state, parameters) => answer(state, parameters.getUint8(0) <= 1 ? code.done : code.badPort) },
  // ReadInfPage
  0x16: { parameters: 0, run: (state, _, { profile }) => ({ ...answer(state, code.done), data: informationPage(profile, state) }) },
  // WriteNotepad
  0x18: { parameters: 1 + pageBytes, run: (state, parameters) => {
    const page = parameters.getUint8(0);
    if (page >= notepadPages) return answer(state, code.badPage);
    const notepad = state.flash.notepad.slice();
    notepad.set(new Uint8Array(parameters.buffer, parameters.byteOffset + 1, pageBytes), page * pageBytes);
    return answer(withFlash(state, { notepad }), code.done);
  } },
  // ReadNotepad
  0x19: { parameters: 1, run: (state, parameters) => {
    const page = parameters.getUint8(0);
    if (page >= notepadPages) return answer(state, code.badPage);
    return answer(state, code.done, ...state.flash.notepad.subarray(page * pageBytes, (page + 1) * pageBytes));
  } },
  // GetRandomCode
  0x14: { parameters: 0, run: (state, _, { random }) => answer(state, code.done, ...random.bytes(4)) },
};

/** The 16 bytes of §2.4. */
function systemParameters(profile: Profile, { flash, ram }: State): number[] {
  const status = (ram.passed ? 2 : 0) | (ram.verified ? 4 : 0) | (ram.image === null ? 0 : 8);
  return [
    ...u16(profile.reportsStatus ? status : 0), ...u16(profile.systemId), ...u16(profile.capacity), ...u16(flash.security),
    ...u32(flash.address), ...u16(flash.packetSize), ...u16(flash.baud),
  ];
}

/** The 512 bytes of §2.5, the password in clear among them (W4). */
function informationPage(profile: Profile, state: State): Uint8Array {
  const page = new Uint8Array(512);
  page.set([...systemParameters(profile, state), ...u16(0x0453), ...u16(0x9005)]);
  page.set([...ascii(state.flash.serial, 8), ...ascii("EMU 1.0", 8), ...ascii("EMULATED", 8), ...ascii(profile.name, 8)], 28);
  page.set(u32(state.flash.password), 60);
  page.set(u16(0x1234), 126);
  return page;
}
