import { code } from "../codes.ts";
import { answer, ascii, u16, type Command, type Commands } from "../command.ts";
import type { Extra } from "../profiles.ts";
import { withRam, type Light } from "../state.ts";
import { autoCommands } from "./auto.ts";
import { takeGoodImage } from "./capture.ts";
import { search } from "./library.ts";

const effects: readonly Light["effect"][] = ["breathing", "flashing", "on", "off", "fade on", "fade off"];
const colours: readonly Light["colour"][] = ["red", "blue", "purple", "green", "yellow", "cyan", "white"];

/** R503's own (hardware/fingerprint.md §§2.3, 2.5, 2.7). */
const r503Commands: Commands = {
  // GetImageEx
  0x28: { parameters: 0, run: (state, _, around) => takeGoodImage(state, around) },
  // AuraLedConfig: a colour that this unit lacks changes nothing
  0x35: { parameters: 4, run: (state, parameters, { profile }) => {
    const effect = effects[parameters.getUint8(0) - 1];
    const number = parameters.getUint8(2);
    const colour = colours[number - 1];
    if (effect === undefined || colour === undefined || number > profile.colours) return answer(state, code.done);
    return answer(withRam(state, { light: { effect, colour, speed: parameters.getUint8(1), count: parameters.getUint8(3) } }), code.done);
  } },
  // CheckSensor
  0x36: { parameters: 0, run: (state) => answer(state, code.done) },
  // GetAlgVer
  0x39: { parameters: 0, run: (state) => answer(state, code.done, ...ascii("EMULATED matching, none real", 32)) },
  // GetFwVer
  0x3a: { parameters: 0, run: (state, _, { profile }) => answer(state, code.done, ...ascii(`EMULATED ${profile.name} 1.0`, 32)) },
  // ReadProdInfo
  0x3c: { parameters: 0, run: (state, _, { profile }) => answer(
    state, code.done, ...ascii(profile.name, 16), ...ascii("EMUL", 4), ...ascii(state.flash.serial, 8), 1, 0, ...ascii("EMULATED", 8),
    ...u16(profile.image.width), ...u16(profile.image.height), ...u16(profile.templateBytes), ...u16(profile.capacity)) },
  // SoftRst
  0x3d: { parameters: 0, run: (state) => ({ ...answer(state, code.done), reset: true }) },
  // HandShake
  0x40: { parameters: 0, run: (state) => answer(state, code.done) },
};

/** LED on and off of models without a ring light. */
const lamp = (effect: "on" | "off"): Command => ({
  parameters: 0, run: (state) => answer(withRam(state, { light: { ...state.ram.light, effect } }), code.done),
});

export const extraCommands: Readonly<Record<Extra, Commands>> = {
  r503: r503Commands,
  auto: autoCommands,
  fastSearch: { 0x1b: search },
  echo: { 0x53: { parameters: 0, run: (state) => answer(state, code.echo) } },
  light: { 0x50: lamp("on"), 0x51: lamp("off") },
};
