import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import t from "tap";
import { formsOf, type Secret } from "../../../provisioning/bundle/needles.ts";
import { clean, holds, redacted, type Redaction } from "../../../provisioning/bundle/redact.ts";

const redaction: Redaction = { secrets: [], publics: new Set(), key: Buffer.alloc(32, 1) };
const secretOf = (bytes: Uint8Array, what = "secret"): Secret => ({ what, bytes: new Uint8Array(bytes) });

/** How a program in haste writes bytes into a log. */
const writings: [string, (bytes: Buffer) => Buffer | string][] = [
  ["raw", (bytes) => bytes], ["hex", (bytes) => bytes.toString("hex")], ["HEX", (bytes) => bytes.toString("hex").toUpperCase()],
  ["base64", (bytes) => bytes.toString("base64")], ["base64url", (bytes) => bytes.toString("base64url")],
  ["colons", (bytes) => bytes.toString("hex").replace(/..(?=.)/g, "$&:")], ["a Buffer", (bytes) => inspect(bytes)], ["an array", (bytes) => inspect(new Uint8Array(bytes))],
  ["JSON of numbers", (bytes) => JSON.stringify([...bytes])], ["JSON of an array", (bytes) => JSON.stringify(new Uint8Array(bytes))], ["JSON of a Buffer", (bytes) => JSON.stringify(bytes)],
  ["escaped", (bytes) => [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")], ["in a URL", (bytes) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")],
];

/** Whether four bytes on end are to be read anywhere, in the writings above. */
function traces(text: string, bytes: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at + 6 <= bytes.length; at++) {
    const part = bytes.subarray(at, at + 6);
    for (const [how, form] of [["hex", part.toString("hex")], ["raw", part.toString("latin1")], ["numbers", [...part].join(",")], ["spaced", part.toString("hex").replace(/..(?=.)/g, "$& ")], ["base64", part.toString("base64")], ["base64url", part.toString("base64url")]] as const) {
      if (text.toLowerCase().includes(form.toLowerCase()) && (how === "hex" || how === "spaced" || text.includes(form))) found.push(how);
    }
  }
  return found;
}

void t.test("bytes that nobody knows, in every writing", (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 48 }).filter((bytes) => new Set(bytes).size > 16), fc.constantFrom(...writings), fc.constantFrom("", "x=", "secret \"", "at 3: "), ([...bytes], [how, write], before) => {
    const secret = Buffer.from(bytes);
    const log = Buffer.concat([Buffer.from(`<6>box-1: started\n${before}`), Buffer.from(write(secret)), Buffer.from("\n<6>box-1: after it\n")]);
    const text = clean(log, redaction);
    t.same(traces(text, secret), [], `${how}: ${text}`);
  }), { numRuns: 400 });
  t.end();
});

void t.test("raw bytes with a line's end among them, and text behind it", (t) => {
  const bytes = Buffer.concat([Buffer.from([1, 200, 7, 10]), Buffer.from("zvsq-fwabc")]);
  t.notMatch(clean(Buffer.concat([Buffer.from("before\nx="), bytes, Buffer.from("\nlast")]), redaction), "zvsq");
  t.match(clean(Buffer.from("one\ntwo\n\u0001\nthree\nfour"), redaction), /^one\n\[[^\n]*\n\[[^\n]*\n\[[^\n]*\nfour$/, "its neighbours, and no more");
  t.end();
});

void t.test("a key whose base64 has letters alone", (t) => {
  t.match(clean(Buffer.from("x=IRAaCzzPKPhyPgsGMPSyBDxCaDkmLAaEqfxFlTZlkZx"), redaction), /^x=\[redacted 43 characters/);
  t.equal(clean(Buffer.from("/usr/lib/SoftHSM/softhsm/LibraryOfTheModuleOfTheToken"), redaction), "/usr/lib/SoftHSM/softhsm/LibraryOfTheModuleOfTheToken");
  t.end();
});

void t.test("decimals among which some look hexadecimal, and the other way round", (t) => {
  const both = Buffer.from([210, 140, 33, 44, 55, 66, 77, 88, 99, 11, 161, 14, 151, 218, 234, 172]);
  t.equal(clean(Buffer.from(`[${[...both].join(",")}]`), redaction), "[[redacted bytes]]");
  t.equal(clean(Buffer.from("de ad 12 34 56 78 90 12 34 56 be ef"), redaction), "[redacted bytes]");
  t.end();
});

void t.test("secrets of this machine, however short, and wherever they begin in a longer text", (t) => {
  const secret = secretOf(Buffer.from("4711"), "PIN");
  const key = secretOf(randomBytes(9), "sensor password");
  for (const before of ["", "a", "ab", "abc"]) for (const [how, write] of writings.slice(0, 5)) {
    const log = Buffer.from(write(Buffer.concat([Buffer.from(before), Buffer.from(key.bytes), Buffer.from("zz")])));
    t.ok(holds(log, [key]), `found: ${how}, ${before}`);
    t.notOk(holds(Buffer.from(clean(log, { ...redaction, secrets: [key] })), [key]), `gone: ${how}, ${before}`);
  }
  t.equal(clean(Buffer.from("login with 4711 failed"), { ...redaction, secrets: [secret] }), "login with [PIN] failed");
  t.equal(holds(Buffer.from("nothing"), [secret, key]), undefined);
  t.same([...new Set(formsOf(secretOf(Buffer.from([0xde, 0xad, 0xbe, 0xef, 0x01]))).map((form) => Buffer.from(form).toString("latin1")))].slice(1), [
    "deadbeef01", "DEADBEEF01", "3q2+7wE", "3q2+7w", "6tvu8B", "erb7vA", "3q2-7wE", "3q2-7w", "222,173,190,239,1", "222, 173, 190, 239, 1", "de ad be ef 01", "de:ad:be:ef:01",
  ]);
  t.end();
});

void t.test("what looks like a secret", (t) => {
  const { publics } = { publics: new Set(["BBT7IvuAdVJATZvHHzbnYWHbGYgHpvhkwCmrhXEMmPA"]) };
  const safe = (text: string): string => redacted(text, { ...redaction, publics });
  const pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nAb\n-----END PRIVATE KEY-----";
  t.equal(safe(`a\n${pem}\nb`), "a\n[private key]\nb");
  t.equal(safe(`a\n${pem.slice(0, 60)}`), "a\n[private key]", "also without its end");
  for (const line of ["pin=123", "PIN: 123", "\"pin\":\"123\"", "password = \"1 2 3\"", "token-pin: 123"]) t.notMatch(safe(line), "3", line);
  t.equal(safe("mqtt://user:geheim@host:1"), "mqtt://[redacted]@host:1");
  t.match(safe(`${"Ab1".repeat(20)}\n${"Cd2".repeat(20)}\nxY3\nend of it`), /^\[redacted 125 characters, [0-9a-f]{8}\]\nend of it$/, "wrapped, with its short last line");
  const blob = "q83vEjRWeJq83vEjRWeJq8";
  t.equal(safe(`${blob} ${blob}`), `${safe(blob)} ${safe(blob)}`, "equal ones get equal marks");
  t.not(safe(blob), redacted(blob, { publics, key: Buffer.alloc(32, 2) }), "which say nothing outside of the bundle");
  t.end();
});

void t.test("what helps stays", (t) => {
  const known = "BBT7IvuAdVJATZvHHzbnYWHbGYgHpvhkwCmrhXEMmPA";
  for (const line of [
    "<4>box-1: broker down error=\"BROKER_UNREACHABLE: cannot reach mqtts://10.0.0.7:8883: connect ECONNREFUSED 10.0.0.7:8883\" againMs=1834",
    "Nov 26 01:17:09 box-1 shardkeep[1234]: <6>box-1: key key=\"payroll\" epoch=12 state=\"current\"", "2026-11-26T01:17:09.123Z started",
    "/var/lib/shardkeep/box-1/tokens/569301a5-6c6a-86e6-0810-4e22dc903138/token.object", "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", "PAIRING_FILE_DAMAGED SECOND_FAILING_BOX", "box-1 │ Fräulein Müller: payroll/2026",
    `authority ${known}`,
  ]) t.equal(redacted(line, { publics: new Set([known]), key: redaction.key }), line);
  t.end();
});
