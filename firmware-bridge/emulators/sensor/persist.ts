import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { writeDurably } from "../../../agent/runtime/durable.ts";
import { fromBase64url, toBase64url } from "../../../agent/runtime/encoding.ts";
import type { Random } from "../../../agent/runtime/random.ts";
import { EmulatorError } from "../errors.ts";
import type { Profile } from "./profiles.ts";
import { factoryFlash, notepadPages, pageBytes, type Flash } from "./state.ts";

const bytes = z.string().transform((text, context) => {
  const value = fromBase64url(text);
  if (value === null) context.addIssue("not base64url");
  return value ?? z.NEVER;
});
const u32 = z.int().min(0).max(0xffffffff);
const stored = z.strictObject({
  model: z.string(),
  serial: z.string().regex(/^EMU[0-9A-Z]{5}$/),
  password: u32,
  address: u32,
  security: z.int().min(1).max(5),
  packetSize: z.int().min(0).max(3),
  baud: z.int().min(1).max(12),
  library: z.array(z.tuple([z.int().min(0).max(0xffff), bytes])),
  notepad: bytes.refine((pages) => pages.length === notepadPages * pageBytes, "the notepad has 512 bytes"),
});

/** A module fresh from the factory: its serial number is random, its first letters are not. */
export function freshFlash(profile: Profile, random: Random): Flash {
  return factoryFlash(profile, Array.from(random.bytes(5), (byte) => (byte % 36).toString(36).toUpperCase()).join(""));
}

/** The flash of the module that `path` keeps; a new module if there is no such file. @throws STATE_DAMAGED */
export function loadFlash(path: string, profile: Profile, random: Random): Flash {
  if (!existsSync(path)) {
    const flash = freshFlash(profile, random);
    saveFlash(path, profile, flash);
    return flash;
  }
  const { model, library, ...rest } = parse(path);
  if (model !== profile.name) throw new EmulatorError("STATE_DAMAGED", `${path} is the memory of a ${model}, not of a ${profile.name}`, { remedy: "give another --state or --profile" });
  return { ...rest, library: new Map(library) };
}

/** @throws what the file system says */
export function saveFlash(path: string, profile: Profile, flash: Flash): void {
  const library = [...flash.library].map(([slot, template]) => [slot, toBase64url(template)]);
  writeDurably(path, JSON.stringify({ model: profile.name, ...flash, library, notepad: toBase64url(flash.notepad) }));
}

function parse(path: string): z.infer<typeof stored> {
  try {
    return stored.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new EmulatorError("STATE_DAMAGED", `${path} is not the memory of an emulated sensor`, { cause, remedy: "remove the file to start with a new module" });
  }
}
