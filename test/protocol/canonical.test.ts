import t from "tap";
import fc from "fast-check";
import { canonical, type Value } from "../../agent/protocol/canonical.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

void t.test("bytes that never change", async (t) => {
  t.equal(hex(canonical("x", "s", { b: [1, "é", null, true], a: new Uint8Array([255]), c: undefined })),
    "730000000e" + Buffer.from("shardkeep/v1/x").toString("hex") + "730000000173"
    + "6f00000002" + "730000000161" + "6200000001ff" + "730000000162" + "6100000004" + "690000000131" + "7300000002c3a9" + "6e" + "74");
});

void t.test("what has no one encoding is refused", async (t) => {
  for (const value of ["\ud800", 1.5, NaN, -0, 2 ** 53, { ["\udfff"]: 1 }] as Value[]) t.throws(() => canonical("x", "s", value), { code: "ENCODING_INVALID" });
});

const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constant(null), fc.boolean(), fc.maxSafeInteger(), fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed()),
    fc.uint8Array({ maxLength: 8 }), fc.array(tie("value"), { maxLength: 4 }), fc.dictionary(fc.string({ maxLength: 4, unit: "grapheme-ascii" }), tie("value"), { maxKeys: 4, noNullPrototype: true })),
})).value;

/** Equal as values: undefined fields are absent, the order of keys is nothing. */
function normal(one: Value): unknown {
  if (one === null || typeof one !== "object") return Object.is(one, -0) ? 0 : one;
  if (one instanceof Uint8Array) return { bytes: hex(one) };
  if (Array.isArray(one)) return (one as readonly Value[]).map(normal);
  return { object: Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => ({ key, item: item === undefined ? undefined : normal(item) })) };
}

void t.test("no two values share an encoding, and a value has one", async () => {
  const safe = value.filter((one) => !JSON.stringify(one).includes("-0"));
  fc.assert(fc.property(safe, safe, (a, b) => {
    const same = JSON.stringify(normal(a)) === JSON.stringify(normal(b));
    return (hex(canonical("x", "s", a)) === hex(canonical("x", "s", b))) === same;
  }), { numRuns: 3000 });
});

void t.test("tag and site are part of it", async (t) => {
  t.not(hex(canonical("x", "s", 1)), hex(canonical("y", "s", 1)));
  t.not(hex(canonical("x", "s", 1)), hex(canonical("x", "t", 1)));
  t.not(hex(canonical("xs", "", 1)), hex(canonical("x", "s", 1)));
});
