import { existsSync, readFileSync } from "node:fs";
import { FileError } from "../agent/client/errors.ts";
import { mostPayload } from "../agent/protocol/messages.ts";
import { secretBytes, secretCopy, wipe } from "../agent/runtime/secrets.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { writeDurably } from "../agent/runtime/durable.ts";
import { requireRoomFor, unwritable } from "../agent/runtime/steps.ts";

export class PayloadError extends ShardkeepError<"PAYLOAD_TOO_LONG"> {}

export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new FileError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path and its permissions; is the stick in?" });
  }
}

/** Refused before anybody is asked for a finger, and before anything is approved. Throws FILE_EXISTS, FILE_UNWRITABLE, DISK_FULL. */
export function requireAbsent(path: string): void {
  if (existsSync(path)) throw new FileError("FILE_EXISTS", `${path} is already there`, { remedy: "name another output, or move that file away" });
  requireRoomFor(path);
}

/** A public or result file: whole or not at all, mode 0600. */
export function write(path: string, content: string | Uint8Array): void {
  try {
    writeDurably(path, content);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** A public file that people may look into; as {@link write}. */
export function writeJson(path: string, value: object): void {
  write(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** A payload of at most `most` bytes from a file or, with `-`, from stdin; in secret memory that the caller wipes. */
export async function readPayload(path: string, most = mostPayload): Promise<Uint8Array<ArrayBuffer>> {
  const tooLong = (): PayloadError => new PayloadError("PAYLOAD_TOO_LONG", `more than ${most} bytes`, { remedy: "files go by envelope encryption: shardkeep seal FILE" });
  if (path !== "-") {
    const bytes = readBytes(path);
    try {
      if (bytes.length > most) throw tooLong();
      return secretCopy(bytes);
    } finally {
      wipe(bytes);
    }
  }
  const room = secretBytes(most);
  let length = 0;
  try {
    for await (const part of process.stdin as AsyncIterable<Buffer>) {
      if (length + part.length > most) throw tooLong();
      room.set(part, length);
      length += part.length;
      wipe(part);
    }
    return secretCopy(room.subarray(0, length));
  } finally {
    wipe(room);
  }
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new FileError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path and its permissions" });
  }
}
