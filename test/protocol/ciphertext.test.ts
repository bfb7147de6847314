import { createDecipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { decryptUnder, encryptUnder, keyCheckValue, macUnder, payloadCommitment, saltedPayload, workingKey, ciphertextOverhead, type KeyName } from "../../agent/protocol/ciphertext.ts";
import { systemRandom, type Random } from "../../agent/runtime/random.ts";

const from = (start: number, length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, i) => start + i);
const master = from(0, 32);
const random = from(0xa0, 32);
const fixed: Random = { bytes: (length) => from(0xa0, length) };
const name: KeyName = { site: "lab", key: "payroll", version: 1, use: "data", resource: "payroll/march" };
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

void t.test("the bytes on disk: magic, random, body, tag", (t) => {
  t.equal(hex(encryptUnder(master, name, Buffer.from("hello"), fixed)), "534b4331a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfe08c3a124dbf1929e22e342582c3cbecb7cc09866c");
  t.equal(hex(workingKey(master, name, random)), "7b3dc1473a2a4a1e6381bf8a2b7a681f8c8a4f912524d46ffdf2af4fe4ddb957");
  t.equal(keyCheckValue(master, "lab", "payroll", 1), "A2flazM_5N_biXQqKsTAOz3DXeL1v9K08nzpyjakwrg");
  t.equal(hex(macUnder(master, { ...name, use: "mac" }, Buffer.from("hello"), random)), "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf82ccbc3d1fac4fa125fbe6fd3069f555f4d2e67ed0ba904fe0ab23da10ca91c0");
  t.equal(payloadCommitment("lab", from(0, 32), Buffer.from("hello")), "PHAWbqL0dvuh7xrVgngCg4kfkbApny-Dn1AFGoTmO4c");
  t.equal(hex(saltedPayload(from(0, 2), from(9, 2))), "0001090a");
  t.end();
});

void t.test("the working key and the AAD as written out by hand (protocol.md §4)", (t) => {
  const s = (text: string): Buffer => Buffer.concat([Buffer.from("s"), u32(text.length), Buffer.from(text)]);
  const u32 = (n: number): Buffer => Buffer.from([0, 0, n >> 8, n & 255]);
  const i = (n: number): Buffer => Buffer.concat([Buffer.from("i"), u32(1), Buffer.from(String(n))]);
  const b = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from("b"), u32(bytes.length), bytes]);
  const fields = (...entries: Buffer[]): Buffer => Buffer.concat([Buffer.from("o"), u32(entries.length / 2), ...entries]);
  const named = [s("key"), s("payroll"), s("random"), b(random), s("resource"), s("payroll/march"), s("use"), s("data"), s("version"), i(1)];
  const key = createHmac("sha256", master).update(Buffer.concat([s("shardkeep/v1/working-key"), s("lab"), fields(...named)])).digest();
  t.strictSame(Buffer.from(workingKey(master, name, random)), key);
  const ciphertext = encryptUnder(master, name, Buffer.from("hello"), fixed);
  const aad = Buffer.concat([s("shardkeep/v1/ciphertext"), s("lab"), fields(s("format"), i(1), ...named)]);
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12)).setAAD(aad).setAuthTag(ciphertext.slice(-16));
  t.equal(Buffer.concat([decipher.update(ciphertext.slice(36, -16)), decipher.final()]).toString(), "hello");
  t.end();
});

void t.test("round trip of anything, and its length", (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 300 }), (key, plaintext) => {
    const ciphertext = encryptUnder(key, name, plaintext, systemRandom);
    t.equal(ciphertext.length, plaintext.length + ciphertextOverhead);
    t.strictSame(hex(decryptUnder(key, name, ciphertext)), hex(plaintext));
  }), { numRuns: 50 });
  t.end();
});

void t.test("another name, another key, another bit, another length: refused by one name", (t) => {
  const ciphertext = encryptUnder(master, name, Buffer.from("hello"), fixed);
  const refused = { code: "CIPHERTEXT_INVALID" };
  for (const change of [{ site: "other" }, { key: "public" }, { version: 2 }, { use: "wrap" }, { resource: "payroll" }] as const) {
    t.throws(() => decryptUnder(master, { ...name, ...change }, ciphertext), refused, JSON.stringify(change));
  }
  t.throws(() => decryptUnder(from(1, 32), name, ciphertext), refused, "another master key");
  for (let bit = 0; bit < ciphertext.length * 8; bit++) {
    const changed = ciphertext.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    t.throws(() => decryptUnder(master, name, changed), refused, `bit ${bit}`);
  }
  for (let length = 0; length < ciphertext.length; length++) t.throws(() => decryptUnder(master, name, ciphertext.slice(0, length)), refused, `${length} bytes`);
  t.throws(() => decryptUnder(master, name, Buffer.concat([ciphertext, Buffer.alloc(1)])), refused, "one byte more");
  t.end();
});

void t.test("no two ciphertexts share a working key", (t) => {
  const randoms = Array.from({ length: 20 }, () => hex(encryptUnder(master, name, new Uint8Array(1), systemRandom).slice(4, 36)));
  t.equal(new Set(randoms).size, 20);
  t.end();
});
