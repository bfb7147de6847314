import { createHmac } from "node:crypto";
import fc from "fast-check";
import { combine } from "shamir-secret-sharing";
import t from "tap";
import { applyMatrix, expandMatrix } from "../../agent/sharding/check.ts";
import { multiply, sum } from "../../agent/sharding/field.ts";
import { hasCode } from "../../agent/runtime/errors.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex = (view: Uint8Array) => Buffer.from(view).toString("hex");
const fromHex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

void t.test("multiplication is AES's (FIPS 197 §4.2, §4.2.1)", (t) => {
  t.equal(multiply(0x57, 0x83), 0xc1);
  t.equal(multiply(0x83, 0x57), 0xc1);
  t.equal(multiply(0x57, 0x13), 0xfe);
  t.equal(multiply(0x02, 0xae), 0x47);
  t.end();
});

void t.test("multiplication is a field's: every pair, against the definition by polynomials", (t) => {
  for (let a = 0; a < 256; a++) {
    const products = new Set<number>();
    for (let b = 0; b < 256; b++) {
      let long = 0;
      for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) long ^= a << bit;
      for (let bit = 14; bit >= 8; bit--) if ((long >> bit) & 1) long ^= 0x11b << (bit - 8);
      if (multiply(a, b) !== long) t.fail(`${a} x ${b}`);
      products.add(long);
    }
    if (products.size !== (a === 0 ? 1 : 256)) t.fail(`multiplying by ${a} is not one to one`);
  }
  t.end();
});

void t.test("a matrix whose corner is MixColumns maps the published test columns of AES", (t) => {
  const matrix = new Uint8Array(512);
  const mixColumns = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]];
  mixColumns.forEach((row, index) => { matrix.set(row, index * 32); });
  const share = new Uint8Array(32);
  share.set(fromHex("db135345"));
  t.equal(hex(applyMatrix(matrix, share)), "8e4da1bc000000000000000000000000");
  matrix.fill(0);
  mixColumns.forEach((row, index) => { matrix.set(row, (index + 12) * 32 + 28); });
  share.fill(0);
  share.set(fromHex("f20a225c"), 28);
  t.equal(hex(applyMatrix(matrix, share)), "0000000000000000000000009fdc589d");
  t.end();
});

void t.test("the matrix is the documented expansion, byte for byte", (t) => {
  const transcript = new Uint8Array(32).map((_, index) => index);
  const matrix = expandMatrix(transcript, "payroll");
  t.equal(matrix.length, 512);
  const label = Buffer.concat([
    fromHex("00000019"), Buffer.from("shardkeep/v1/check-matrix"), fromHex("00000007"), Buffer.from("payroll"),
  ]);
  for (let block = 0; block < 16; block++) {
    const expected = createHmac("sha256", transcript).update(label).update(fromHex(`000000${block.toString(16).padStart(2, "0")}`)).digest("hex");
    t.equal(hex(matrix.subarray(block * 32, block * 32 + 32)), expected);
  }
  t.equal(hex(matrix.subarray(0, 32)), "f1b2095176a9c087843aefdda998e04fa24e2f89ea4e84ff4b3fda0d2bb3357d");
  t.equal(hex(matrix.subarray(480)), "be52a01ce85becf6cf076782468f3acce161d2b6a259525a1e19b30207d9f3ed");
  t.end();
});

void t.test("another transcript or key id gives another matrix, and no text slides into its neighbour", (t) => {
  const transcript = new Uint8Array(32).fill(7);
  const seen = new Set(["a", "b", "ab", "a\0", "", "é", "e\u0301"].map((keyId) => hex(expandMatrix(transcript, keyId))));
  t.equal(seen.size, 7);
  for (let bit = 0; bit < 256; bit++) {
    const other = transcript.slice();
    other[bit >> 3]! ^= 1 << (bit & 7);
    seen.add(hex(expandMatrix(other, "a")));
  }
  t.equal(seen.size, 7 + 256);
  t.end();
});

void t.test("R is linear, and sees every single wrong byte", (t) => {
  fc.assert(fc.property(bytes(32), fc.string(), bytes(32), bytes(32), (transcript, keyId, a, b) => {
    const matrix = expandMatrix(transcript, keyId);
    t.strictSame(applyMatrix(matrix, sum(a, b)), sum(applyMatrix(matrix, a), applyMatrix(matrix, b)));
  }), { numRuns: 50 });
  fc.assert(fc.property(bytes(32), bytes(32), fc.nat(31), fc.integer({ min: 1, max: 255 }), (transcript, share, at, delta) => {
    const matrix = expandMatrix(transcript, "k");
    const wrong = share.slice();
    wrong[at]! ^= delta;
    t.notSame(applyMatrix(matrix, wrong), applyMatrix(matrix, share));
  }), { numRuns: 100 });
  t.end();
});

void t.test("R commutes with the library's combine: one field, one meaning of a share", async (t) => {
  await fc.assert(fc.asyncProperty(
    bytes(32), fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 255 }), bytes(32)), { minLength: 2, maxLength: 6, selector: ([x]) => x }),
    async (transcript, points) => {
      const matrix = expandMatrix(transcript, "k");
      const labelled = (y: Uint8Array, x: number) => new Uint8Array([...y, x]);
      const whole = await combine(points.map(([x, y]) => labelled(y, x)));
      const images = await combine(points.map(([x, y]) => labelled(applyMatrix(matrix, y), x)));
      t.strictSame(new Uint8Array(images), applyMatrix(matrix, whole));
    },
  ), { numRuns: 50 });
});

void t.test("inputs of another size are refused, and nothing that was given is changed", (t) => {
  const matrix = expandMatrix(new Uint8Array(32), "k");
  for (const length of [0, 31, 33]) {
    t.throws(() => expandMatrix(new Uint8Array(length), "k"), { code: "SHARE_LENGTH" });
    t.throws(() => applyMatrix(matrix, new Uint8Array(length)), { code: "SHARE_LENGTH" });
  }
  t.throws(() => applyMatrix(matrix.subarray(1), new Uint8Array(32)), { code: "SHARE_LENGTH" });
  try {
    sum(new Uint8Array(2), new Uint8Array(3));
    t.fail("unequal lengths were added");
  } catch (error) {
    t.ok(hasCode(error, "SHARE_LENGTH"));
  }
  const share = Buffer.from("a buffer of thirty-two bytes yes");
  const before = share.toString("hex");
  const image = applyMatrix(matrix, share);
  t.equal(share.toString("hex"), before);
  t.equal(image.byteOffset, 0);
  t.equal(image.buffer.byteLength, 16, "a view over its own ArrayBuffer");
  t.end();
});
