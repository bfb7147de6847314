import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { concat, utf8 } from "../../../agent/runtime/encoding.ts";
import { equalBytes, secretCopy, wipe } from "../../../agent/runtime/secrets.ts";
import { SensorError } from "../errors.ts";
import type { Pairing, PairingStore } from "./pairing.ts";

const magic = utf8("SKPAIR01");
const size = { confirmed: 1, password: 4, marker: 32, digest: 32 } as const;
const bodyLength = magic.length + size.confirmed + size.password + size.marker;

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();

/**
 * The pairing secrets of one box, as bytes, mode 0600: magic 8 | confirmed 1 | password 4 | marker 32 |
 * SHA-256 of these 32. Whoever loses them owns a dead sensor, so they are on disk, synced, before the
 * sensor hears of them, and a damaged file is an error and never "not paired".
 */
export function pairingFile(path: string): PairingStore {
  return { load: () => load(path), save: (pairing) => { save(path, pairing); } };
}

function load(path: string): Pairing | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new SensorError("PAIRING_FILE_DAMAGED", `cannot read ${path}`, { cause, remedy: "check its owner and mode (0600)" });
  }
  try {
    const body = bytes.subarray(0, bodyLength);
    const confirmed = bytes[magic.length];
    if (bytes.length !== bodyLength + size.digest || !equalBytes(sha256(body), bytes.subarray(bodyLength))
      || !equalBytes(body.subarray(0, magic.length), magic) || (confirmed !== 0 && confirmed !== 1)) {
      throw new SensorError("PAIRING_FILE_DAMAGED", `${path} is damaged`, { remedy: "restore it from the backup of this box; without it the sensor's password is lost" });
    }
    const password = magic.length + size.confirmed;
    return {
      confirmed: confirmed === 1,
      password: secretCopy(bytes.subarray(password, password + size.password)),
      marker: secretCopy(bytes.subarray(password + size.password, bodyLength)),
    };
  } finally {
    wipe(bytes);
  }
}

function save(path: string, { confirmed, password, marker }: Pairing): void {
  const body = concat(magic, Uint8Array.of(confirmed ? 1 : 0), password, marker);
  const whole = concat(body, sha256(body));
  const next = `${path}.next`;
  try {
    const file = openSync(next, "w", 0o600);
    try {
      writeSync(file, whole);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(next, path);
    const folder = openSync(dirname(path), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } finally {
    wipe(body, whole);
  }
}
