import { accessSync, constants, existsSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { basename } from "node:path";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { holdersOf, type Holder } from "../machine/holders.ts";
import { Fault, Skipped } from "./check.ts";

/** What the kernel says of a serial line, without opening it: opening may reset a device. */
export interface LineFacts {
  readonly path: string;
  readonly real: string | undefined;
  readonly isTty: boolean;
  readonly isPty: boolean;
  readonly mayOpen: boolean;
  readonly holders: readonly Holder[];
}

export function judgeLine({ path, real, isTty, isPty, mayOpen, holders }: LineFacts, { allowEmulated, running, user }: { readonly allowEmulated: boolean; readonly running: boolean; readonly user: string }): string {
  if (real === undefined) throw new ShardkeepError("SERIAL_OPEN_FAILED", `there is no ${path}`, { remedy: "cable, supply; ls -l /dev/serial/by-id; then mend `path` in the configuration" });
  if (!isTty) throw new ShardkeepError("SERIAL_OPEN_FAILED", `${path} is no serial line`, { remedy: "ls -l /dev/serial/by-id; then mend `path` in the configuration" });
  if (isPty && !allowEmulated) throw new ShardkeepError("EMULATED_REFUSED", `${path} is a pseudo-terminal`, { remedy: "connect the real line; only for trials allowEmulated: true" });
  if (!mayOpen) throw new Fault("SERIAL_DENIED", `${user} may not use ${real}`, { remedy: `usermod -aG dialout ${user}, then log in again; or run this as the agent's user` });
  const others = holders.map(({ pid, name }) => `${name} (process ${pid})`).join(", ");
  if (holders.length > 0 && !running) throw new Fault("SERIAL_BUSY", `${real} is open in ${others}`, { remedy: `end that program; is it getty? systemctl disable --now serial-getty@${basename(real)}` });
  return `${real}${isPty ? ", a pseudo-terminal" : ""}${running ? "; the agent has it" : ""}`;
}

/** Majors of Unix98 pseudo-terminals (Linux, admin-guide/devices.txt). */
const isPtyMajor = (major: number): boolean => major >= 136 && major <= 143;

function isSerial(rdev: number): boolean {
  const link = `/sys/dev/char/${rdev >> 8}:${rdev & 0xff}/subsystem`;
  return existsSync(link) && basename(readlinkSync(link)) === "tty";
}

export function lineFacts(path: string): LineFacts {
  if (!existsSync(path)) return { path, real: undefined, isTty: false, isPty: false, mayOpen: false, holders: [] };
  const real = realpathSync(path);
  const found = statSync(real);
  const isPty = found.isCharacterDevice() && isPtyMajor(found.rdev >> 8);
  let mayOpen = true;
  try {
    accessSync(real, constants.R_OK | constants.W_OK);
  } catch {
    mayOpen = false;
  }
  return { path, real, isPty, isTty: isPty || (found.isCharacterDevice() && isSerial(found.rdev)), mayOpen, holders: holdersOf(real) };
}

/** An emulator holds the other end of its pseudo-terminal, and keeps this one open too. */
export function checkLine(path: string, allowEmulated: boolean, running: boolean): string {
  const facts = lineFacts(path);
  return judgeLine(facts.isPty ? { ...facts, holders: [] } : facts, { allowEmulated, running, user: userInfo().username });
}

export const agentHasIt = (): Skipped => new Skipped("the agent has it; `shardkeep status` shows what it finds");
