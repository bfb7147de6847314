import { SerialPort } from "serialport";
import type { Clock } from "../../agent/runtime/clock.ts";
import { openLine } from "./connection.ts";
import { resolveDevice } from "./device.ts";
import { SerialError } from "./errors.ts";
import type { Line } from "./line.ts";

/** The sensor's, most likely first (hardware/fingerprint.md §3.2). */
export const baudRates: readonly number[] = [57600, 115200, 9600, 19200, 38400];

export interface DiscoveryOptions<T> {
  /** A device or a link to one, or `auto` for the only one of the machine that answers. */
  readonly path: string;
  /** The setting that `path` comes from, for whoever has to mend it. */
  readonly setting: string;
  readonly allowEmulated: boolean;
  readonly clock: Clock;
  /** To try; default: every one that a sensor may have. */
  readonly baudRates?: readonly number[];
  /** Speaks with whatever is there; undefined if it is not what is looked for. */
  readonly handshake: (line: Line) => Promise<T | undefined>;
}

/** Names of ports come in any order and change, so only the handshake says what a port is (design §14). */
async function everyPort(): Promise<readonly string[]> {
  try {
    // Legacy ports without a device behind them have neither a vendor nor a plug-and-play id.
    return (await SerialPort.list())
      .filter((port) => port.vendorId !== undefined || port.pnpId !== undefined || port.path.startsWith("/dev/ttyAMA"))
      .map((port) => port.path);
  } catch (cause) {
    throw new SerialError("DEVICE_NOT_FOUND", "the machine's serial lines cannot be listed", { cause, retryable: true, remedy: "name the line in the configuration (/dev/serial/by-id/…)" });
  }
}

interface Found<T> { readonly line: Line; readonly device: T }

/**
 * What `handshake` finds at the line that is named, or at the only one of the machine; at the first rate at which it
 * answers. Every try is a connection of its own. DEVICE_NOT_FOUND, DEVICE_AMBIGUOUS; for a path that is named also
 * SERIAL_OPEN_FAILED and EMULATED_REFUSED.
 */
export async function discover<T>(options: DiscoveryOptions<T>): Promise<T> {
  const auto = options.path === "auto";
  const found: Found<T>[] = [];
  for (const path of auto ? await everyPort() : [options.path]) {
    try {
      const one = await tryPath(path, options);
      if (one !== undefined) found.push(one);
    } catch (error) {
      // Among many, one that is in use by something else is no reason to stop.
      if (!auto || !(error instanceof SerialError)) throw error;
    }
  }
  const [only, ...others] = found;
  if (only === undefined) {
    throw new SerialError("DEVICE_NOT_FOUND", `nothing at ${auto ? "any serial line" : options.path} answers as the device looked for`, {
      retryable: true, remedy: "check the cable and the device's supply",
    });
  }
  if (others.length === 0) return only.device;
  // Which of them is this box's nobody but a person knows: the first one would be another one after the next start.
  const lines = found.map(({ line }) => line.path);
  for (const { line } of found) await line.close();
  throw new SerialError("DEVICE_AMBIGUOUS", `${found.length} lines answer as the device looked for: ${lines.join(", ")}`, {
    retryable: true, remedy: `unplug the other, or write the right one as \`${options.setting}\` in the configuration, best by its name in /dev/serial/by-id`,
  });
}

async function tryPath<T>(path: string, { allowEmulated, clock, handshake, baudRates: rates = baudRates }: DiscoveryOptions<T>): Promise<Found<T> | undefined> {
  const device = resolveDevice(path, allowEmulated);
  for (const baudRate of rates) {
    const line = await openLine(device, baudRate, clock);
    try {
      const found = await handshake(line);
      if (found !== undefined) return { line, device: found };
    } catch (error) {
      await line.close();
      throw error;
    }
    await line.close();
  }
  return undefined;
}
