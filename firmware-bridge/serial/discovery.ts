import { SerialPort } from "serialport";
import type { Clock } from "../../agent/runtime/clock.ts";
import { openLine } from "./connection.ts";
import { resolveDevice } from "./device.ts";
import { SerialError } from "./errors.ts";
import type { Line } from "./line.ts";

/** The sensor's, most likely first (hardware/fingerprint.md §3.2). */
export const baudRates: readonly number[] = [57600, 115200, 9600, 19200, 38400];

export interface DiscoveryOptions<T> {
  /** A device or a link to one, or `auto` for every serial line of the machine. */
  readonly path: string;
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

/**
 * The first line, and the rate, at which `handshake` finds its device. Every try is a connection of its own.
 * DEVICE_NOT_FOUND; for a path that is named also SERIAL_OPEN_FAILED and EMULATED_REFUSED.
 */
export async function discover<T>(options: DiscoveryOptions<T>): Promise<T> {
  const auto = options.path === "auto";
  for (const path of auto ? await everyPort() : [options.path]) {
    try {
      const found = await tryPath(path, options);
      if (found !== undefined) return found;
    } catch (error) {
      // Among many, one that is in use by something else is no reason to stop.
      if (!auto || !(error instanceof SerialError)) throw error;
    }
  }
  throw new SerialError("DEVICE_NOT_FOUND", `nothing at ${auto ? "any serial line" : options.path} answers as the device looked for`, {
    retryable: true, remedy: "check the cable and the device's supply",
  });
}

async function tryPath<T>(path: string, { allowEmulated, clock, handshake, baudRates: rates = baudRates }: DiscoveryOptions<T>): Promise<T | undefined> {
  const device = resolveDevice(path, allowEmulated);
  for (const baudRate of rates) {
    const line = await openLine(device, baudRate, clock);
    try {
      const found = await handshake(line);
      if (found !== undefined) return found;
    } catch (error) {
      await line.close();
      throw error;
    }
    await line.close();
  }
  return undefined;
}
