import { createPrivateKey, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { secretBytes, secretCopy, wipe } from "../../agent/runtime/secrets.ts";
import { keptFiles, placesOf } from "../backup/files.ts";
import type { Installation } from "../machine/installation.ts";

/** A secret of this machine, and what is said in its place. */
export interface Secret {
  readonly what: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const digits = "0123456789abcdef";
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const alphabets = [digits, digits.toUpperCase(), `${letters}+/`, `${letters}-_`];
/** Below this a form would be found in every other word. */
const leastForm = 6;

/**
 * `bytes` in an alphabet of 16 or 64, from bit `from` on, as long as whole characters last; with `whole`, the last one filled
 * up. As bytes, since text cannot be wiped.
 */
function written(bytes: Uint8Array, alphabet: string, from: number, whole = false): Uint8Array<ArrayBuffer> {
  const width = alphabet.length === 16 ? 4 : 6;
  const count = (whole ? Math.ceil : Math.floor)((bytes.length * 8 - from) / width);
  const out = secretBytes(Math.max(count, 0));
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let bit = from + i * width; bit < from + (i + 1) * width; bit++) value = value * 2 + (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
    out[i] = alphabet.charCodeAt(value);
  }
  return out;
}

/** Byte by byte, as programs print arrays and dumps. */
function listed(bytes: Uint8Array, base: 10 | 16, between: string): Uint8Array<ArrayBuffer> {
  const out = secretBytes(bytes.length * (3 + between.length));
  let length = 0;
  bytes.forEach((byte, i) => {
    const text = `${i === 0 ? "" : between}${byte.toString(base).padStart(base === 16 ? 2 : 1, "0")}`;
    for (const char of text) out[length++] = char.charCodeAt(0);
  });
  const form = secretCopy(out.subarray(0, length));
  wipe(out);
  return form;
}

/** Every form in which a secret is looked for: raw, hex, base64 wherever it begins in a longer text, lists of bytes. The caller wipes them. */
export function formsOf({ bytes }: Secret): Uint8Array<ArrayBuffer>[] {
  const starts = (alphabet: string): readonly number[] => (alphabet.length === 16 ? [0] : [0, 4, 2]);
  const all = [
    secretCopy(bytes),
    ...alphabets.flatMap((alphabet) => [written(bytes, alphabet, 0, true), ...starts(alphabet).map((from) => written(bytes, alphabet, from))]),
    ...[",", ", "].map((between) => listed(bytes, 10, between)), ...[" ", ":"].map((between) => listed(bytes, 16, between)),
  ];
  return all.filter((form, i) => form.length >= (i === 0 ? 4 : leastForm));
}

/** The private scalar of an EC key, 32 bytes: what remains secret in whatever file form. */
function scalarOf(key: KeyObject): Uint8Array<ArrayBuffer> {
  const der = key.export({ format: "der", type: "pkcs8" });
  try {
    // PKCS #8 of a P-256 key (RFC 5208, RFC 5915): the OCTET STRING of 32 bytes behind version 1.
    const at = der.indexOf(Buffer.from("0201010420", "hex"));
    return secretCopy(at < 0 ? der : der.subarray(at + 5, at + 37));
  } finally {
    wipe(der);
  }
}

/** Password and marker of sensor.json (firmware-bridge/biometrics/fingerprint/pairing-file.ts). */
const pairing = { password: [9, 13], marker: [13, 45] } as const;

function secretsIn(path: string): Secret[] {
  const bytes = readFileSync(path);
  try {
    if (path.endsWith("sensor.json")) return Object.entries(pairing).map(([what, [from, to]]) => ({ what: `sensor ${what}`, bytes: secretCopy(bytes.subarray(from, to)) }));
    const isPem = bytes.includes("PRIVATE KEY-----");
    if (!isPem && !path.endsWith(".key")) return [];
    return [{ what: "private key", bytes: scalarOf(createPrivateKey(isPem ? { key: bytes, format: "pem" } : { key: bytes, format: "der", type: "pkcs8" })) }];
  } catch {
    return []; // no key after all: what is in it goes into no bundle anyway
  } finally {
    wipe(bytes);
  }
}

/** PIN, private keys, sensor pairing: what lies on this machine in clear. What rests in the token or sealed in the store does not. */
export function secretsOf(of: Installation): Secret[] {
  const places = placesOf(of);
  const files = keptFiles(places).filter(({ name }) => name.startsWith("state/") && !name.startsWith("state/store/"));
  return [...pinOf(places.pin), ...files.flatMap(({ path }) => secretsIn(path))];
}

function pinOf(path: string): Secret[] {
  if (!existsSync(path)) return [];
  const pin = readFileSync(path);
  try {
    return [{ what: "PIN", bytes: secretCopy(pin.subarray(0, pin.findLastIndex((byte) => byte > 0x20) + 1)) }];
  } finally {
    wipe(pin);
  }
}
