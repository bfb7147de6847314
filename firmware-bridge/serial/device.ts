import { realpathSync, statSync } from "node:fs";
import { SerialError } from "./errors.ts";

/** A serial device after its links were followed. */
export interface Device {
  /** The real path, which is what gets opened: a link exchanged in between changes nothing. */
  readonly path: string;
  readonly emulated: boolean;
}

/** Majors of Unix98 pseudo-terminal slaves (Linux, Documentation/admin-guide/devices.txt). */
const ptyMajors = { first: 136, last: 143 } as const;

function major(rdev: number): number {
  return (rdev >> 8) & 0xfff;
}

/**
 * Follows `path`. A pseudo-terminal is an emulated device: EMULATED_REFUSED unless `allowEmulated`.
 * SERIAL_OPEN_FAILED if there is nothing, or no character device.
 */
export function resolveDevice(path: string, allowEmulated: boolean): Device {
  let real: string;
  let rdev: number;
  try {
    real = realpathSync(path);
    const found = statSync(real);
    if (!found.isCharacterDevice()) throw new Error("not a character device");
    rdev = found.rdev;
  } catch (cause) {
    throw new SerialError("SERIAL_OPEN_FAILED", `there is no serial line at ${path}`, { cause, retryable: true, remedy: "check the path and the cable" });
  }
  const emulated = real.startsWith("/dev/pts/") || (major(rdev) >= ptyMajors.first && major(rdev) <= ptyMajors.last);
  if (emulated && !allowEmulated) {
    throw new SerialError("EMULATED_REFUSED", `${path} is a pseudo-terminal, not a serial line`, {
      remedy: "connect the real device; only tests and the demo set allowEmulated",
    });
  }
  return { path: real, emulated };
}
