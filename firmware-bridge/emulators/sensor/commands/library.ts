import { code } from "../codes.ts";
import { answer, u16, type Command, type Commands } from "../command.ts";
import { recognise, score, threshold } from "../prints.ts";
import type { Profile } from "../profiles.ts";
import { withFlash, withRam, type State } from "../state.ts";

const indexPages = 4;
const slotsAPage = 256;

/** Search: also FastSearch, where a model has it. */
export const search: Command = { parameters: 5, run: (state, parameters, { profile }) => {
  const features = state.ram.searchable ? bufferOf(state, parameters.getUint8(0)) : null;
  const hit = features === null ? null : best(state, features, parameters.getUint16(1), parameters.getUint16(3), state.flash.security);
  const next = withRam(state, { passed: hit !== null });
  if (hit === null) return answer(next, code.notFound, ...u16(profile.missId), 0, 0);
  return answer(next, code.done, ...u16(hit.slot), ...u16(hit.score));
} };

/** Storing and comparing (hardware/fingerprint.md §2.2). */
export const libraryCommands: Commands = {
  0x04: search,
  // Match: features in buffer 1 against buffer 2
  0x03: { parameters: 0, run: (state, _, { profile }) => {
    const probe = state.ram.searchable ? recognised(bufferOf(state, 1)) : null;
    const held = recognised(templateIn(profile, state, 2));
    const found = probe === null || held === null ? 0 : score(probe, held);
    const passed = found >= threshold(state.flash.security);
    return answer(withRam(state, { passed }), passed ? code.done : code.noMatch, ...u16(passed ? found : 0));
  } },
  // Store
  0x06: { parameters: 3, run: (state, parameters, { profile }) => {
    const slot = parameters.getUint16(1);
    if (slot >= profile.capacity) return answer(state, code.badSlot);
    const template = templateIn(profile, state, parameters.getUint8(0));
    if (template === null) return answer(state, code.flashError);
    return answer(withFlash(state, { library: new Map(state.flash.library).set(slot, template) }), code.done);
  } },
  // LoadChar
  0x07: { parameters: 3, run: (state, parameters, { profile }) => {
    const [buffer, slot] = [parameters.getUint8(0), parameters.getUint16(1)];
    if (buffer < 1 || buffer > profile.buffers) return answer(state, code.badPacket);
    if (slot >= profile.capacity) return answer(state, code.badSlot);
    const template = state.flash.library.get(slot);
    return template === undefined ? answer(state, code.unreadable) : answer(placeTemplate(profile, state, buffer, template), code.done);
  } },
  // DeletChar
  0x0c: { parameters: 4, run: (state, parameters, { profile }) => {
    const [first, count] = [parameters.getUint16(0), parameters.getUint16(2)];
    if (count === 0 || first + count > profile.capacity) return answer(state, code.deleteFailed);
    const kept = [...state.flash.library].filter(([slot]) => slot < first || slot >= first + count);
    return answer(withFlash(state, { library: new Map(kept) }), code.done);
  } },
  // Empty
  0x0d: { parameters: 0, run: (state) => answer(withFlash(state, { library: new Map() }), code.done) },
  // TempleteNum
  0x1d: { parameters: 0, run: (state) => answer(state, code.done, ...u16(state.flash.library.size)) },
  // ReadIndexTable: lowest slot in the lowest bit (§2.4)
  0x1f: { parameters: 1, run: (state, parameters, { profile }) => {
    const page = parameters.getUint8(0);
    if (page >= indexPages) return answer(state, code.badPacket);
    const bits = new Uint8Array(slotsAPage / 8);
    for (const slot of state.flash.library.keys()) {
      const bit = slot + profile.indexShift - page * slotsAPage;
      if (bit >= 0 && bit < slotsAPage) bits[bit >> 3] = (bits[bit >> 3] ?? 0) | 1 << (bit & 7);
    }
    return answer(state, code.done, ...bits);
  } },
};

/** The best slot of `count` from `first` on that reaches the level. */
export function best(state: State, features: Uint8Array, first: number, count: number, level: number): { slot: number; score: number } | null {
  const probe = recognise(features);
  if (probe === null) return null;
  const scores = [...state.flash.library]
    .filter(([slot]) => slot >= first && slot < first + count)
    .flatMap(([slot, bytes]) => {
      const template = recognise(bytes);
      return template === null ? [] : [{ slot, score: score(probe, template) }];
    })
    .sort((a, b) => b.score - a.score || a.slot - b.slot);
  return scores[0] !== undefined && scores[0].score >= threshold(level) ? scores[0] : null;
}

/** Buffers count from 1. */
function bufferOf(state: State, buffer: number): Uint8Array | null {
  return state.ram.buffers[buffer - 1] ?? null;
}

function recognised(bytes: Uint8Array | null) {
  return bytes === null ? null : recognise(bytes);
}

/** Where a template is read from: the buffer, or the one place whatever buffer is named (Q9). */
export function templateIn(profile: Profile, state: State, buffer: number): Uint8Array | null {
  return profile.oneTemplatePlace ? state.ram.template : bufferOf(state, buffer);
}

export function placeTemplate(profile: Profile, state: State, buffer: number, template: Uint8Array): State {
  return withRam(state, profile.oneTemplatePlace ? { template } : { buffers: state.ram.buffers.with(buffer - 1, template), searchable: true });
}
