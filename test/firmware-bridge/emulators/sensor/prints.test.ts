import fc from "fast-check";
import t from "tap";
import { capture, fingerOf, recognise, render, score, threshold, type Print } from "../../../../firmware-bridge/emulators/sensor/prints.ts";

const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 });
const print: fc.Arbitrary<Print> = fc.record({
  kind: fc.constantFrom("image", "feature", "template"), nonce, quality: fc.integer({ min: 0, max: 100 }),
  fingers: fc.array(fc.string(), { minLength: 1, maxLength: 6 }).map((names) => names.map(fingerOf)),
});
const plain = (value: Print | null): unknown => value === null ? null : { ...value, nonce: [...value.nonce], fingers: value.fingers.map((finger) => [...finger]) };

void t.test("a print is recognised by its bytes, and by nothing else", (t) => {
  fc.assert(fc.property(print, fc.integer({ min: 128, max: 1536 }), (whole, size) => {
    const bytes = render(whole, size);
    t.equal(bytes.length, size);
    t.same(plain(recognise(bytes)), plain(whole));
  }));
  fc.assert(fc.property(print, fc.nat(), fc.integer({ min: 1, max: 255 }), (whole, where, change) => {
    const bytes = render(whole, 256);
    bytes[where % 256] = bytes[where % 256]! ^ change;
    t.equal(recognise(bytes), null, "one changed byte");
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => { t.equal(recognise(noise), null); }));
  t.equal(recognise(new Uint8Array(1536)), null);
  t.end();
});

void t.test("byte snapshot: emulators of different builds know each other's templates", (t) => {
  const bytes = render({ ...capture("alice", 90, new Uint8Array(16)), kind: "template" }, 128);
  t.equal(Buffer.from(bytes).toString("hex"), "00000000000000000000000000000000b3264f34496b0f0089acf7f54fcdb269789bcc9670224ee1c82841bb3d338e0ad7ba4560d765751db7da27f112c23e51441d82541866b0544768a87727e729ae3d0c40655231f58f57bd52c071058ca4b130580e242f123bfdbf59c8c112b8edc4e73eab4cfad991715f9f95e491eec4");
  t.end();
});

void t.test("scores", (t) => {
  fc.assert(fc.property(nonce, nonce, fc.integer({ min: 0, max: 100 }), fc.string(), fc.string(), (first, second, quality, name, other) => {
    const same = score(capture(name, quality, first), capture(name, 100, second));
    t.ok(same >= quality && same <= quality + 100, "100..200 less what quality is missing");
    if (quality === 100) t.ok(same >= threshold(5));
    if (name !== other) t.ok(score(capture(name, 100, first), capture(other, 100, second)) < threshold(1), "a stranger never reaches the lowest level");
  }));
  t.same([1, 2, 3, 4, 5].map(threshold), [40, 50, 60, 70, 80]);
  t.end();
});
