import { createECDH } from "node:crypto";
import fc from "fast-check";
import * as hpke from "hpke";
import t from "tap";
import { generateRecipient, open, openByEphemeral, SealError, seal, sealRevealable, type Recipient } from "../../agent/protocol/seal.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function recipientOf(scalar: Uint8Array): Recipient {
  const pair = createECDH("prime256v1");
  pair.setPrivateKey(scalar);
  return { publicKey: new Uint8Array(pair.getPublicKey()), agree: (peer) => pair.computeSecret(peer) };
}

// The CFRG's test-vectors.json, which RFC 9180 appendix A refers to: mode 0, kem 16, kdf 1, aead 2, first encryption.
// (The RFC's own text prints this KEM with AES-128-GCM and with SHA-512 only.)
const vector = {
  info: hex("4f6465206f6e2061204772656369616e2055726e"),
  secretKey: hex("317f915db7bc629c48fe765587897e01e282d3e8445f79f27f65d031a88082b2"),
  publicKey: hex("04abc7e49a4c6b3566d77d0304addc6ed0e98512ffccf505e6a8e3eb25c685136f853148544876de76c0f2ef99cdc3a05ccf5ded7860c7c021238f9e2073d2356c"),
  ephemeral: hex("90345e3a1d116c1dd39ae76d95ab858c142223a63e44f8f85318cfa91a84858e"),
  enc: hex("04c06b4f6bebc7bb495cb797ab753f911aff80aefb86fd8b6fcc35525f3ab5f03e0b21bd31a86c6048af3cb2d98e0d3bf01da5cc4c39ff5370d331a4f1f7d5a4e0"),
  aad: hex("436f756e742d30"),
  ct: hex("58c61a45059d0c5704560e9d88b564a8b63f1364b8d1fcb3c4c6ddc1d291742465e902cd216f8908da49f8f96f"),
  pt: hex("4265617574792069732074727574682c20747275746820626561757479"),
};

const invalid = { name: "SealError", code: "SEAL_INVALID" };
const open4 = (recipient: Recipient, box: { enc: Uint8Array; ct: Uint8Array }, info: Uint8Array, aad: Uint8Array) =>
  open(recipient, box.enc, info, aad, box.ct);

void t.test("RFC 9180 vector of exactly this suite opens", (t) => {
  const recipient = recipientOf(vector.secretKey);
  t.same(recipient.publicKey, vector.publicKey);
  t.same(open4(recipient, vector, vector.info, vector.aad), vector.pt);
  t.end();
});

void t.test("the same vector opens by its ephemeral key, without the recipient's", (t) => {
  const opening = (change: Partial<Record<keyof typeof vector, Uint8Array>> = {}) => {
    const { ephemeral, publicKey, enc, info, aad, ct } = { ...vector, ...change };
    return openByEphemeral(ephemeral, publicKey, enc, info, aad, ct);
  };
  t.same(opening(), vector.pt);
  const other = generateRecipient().publicKey;
  for (const field of ["ephemeral", "enc", "publicKey", "info", "aad", "ct"] as const) {
    for (let index = 0; index < vector[field].length; index++) {
      const changed = new Uint8Array(vector[field]);
      changed[index]! ^= 1 << (index % 8);
      t.throws(() => opening({ [field]: changed }), invalid, `${field}[${index}]`);
    }
    t.throws(() => opening({ [field]: vector[field].subarray(1) }), invalid, `${field} cut in front`);
    t.throws(() => opening({ [field]: Buffer.concat([vector[field], Buffer.of(0)]) }), invalid, `${field} grown`);
    t.throws(() => opening({ [field]: new Uint8Array(0) }), invalid, `${field} empty`);
  }
  t.throws(() => opening({ publicKey: other }), invalid, "another recipient");
  t.throws(() => opening({ enc: other }), { ...invalid, message: /revealed scalar is not that of/ }, "another seal");
  for (const scalar of [new Uint8Array(32), new Uint8Array(32).fill(255), Buffer.concat([Buffer.of(0), vector.ephemeral])]) {
    t.throws(() => opening({ ephemeral: scalar }), { ...invalid, message: /32 bytes that make a P-256 key/ }, "no scalar of the curve");
  }
  t.end();
});

void t.test("a revealable seal opens like any other, and by its ephemeral key: 32 bytes also if it begins with zeros", (t) => {
  const recipient = generateRecipient();
  const [info, aad, plaintext] = [utf8("info"), utf8("aad"), utf8("a piece")];
  for (let zeros = false; !zeros;) {
    const { enc, ct, ephemeral } = sealRevealable(recipient.publicKey, info, aad, plaintext);
    zeros = ephemeral[0] === 0;
    if (ephemeral.length !== 32) t.fail(`${ephemeral.length} bytes`);
    t.same(open(recipient, enc, info, aad, ct), plaintext);
    t.same(openByEphemeral(ephemeral, recipient.publicKey, enc, info, aad, ct), plaintext);
  }
  t.throws(() => sealRevealable(new Uint8Array(65), info, aad, plaintext), invalid);
  t.end();
});

void t.test("both ways against package hpke", async (t) => {
  const suite = new hpke.CipherSuite(hpke.KEM_DHKEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_256_GCM);
  const publicKey = await suite.DeserializePublicKey(vector.publicKey);
  const pair = { publicKey, privateKey: await suite.DeserializePrivateKey(vector.secretKey) };
  for (const size of [0, 1, 32, 48, 4096]) {
    const plaintext = new Uint8Array(size).fill(size);
    const theirs = await suite.Seal(publicKey, plaintext, { info: vector.info, aad: vector.aad });
    t.same(open(recipientOf(vector.secretKey), theirs.encapsulatedSecret, vector.info, vector.aad, theirs.ciphertext), plaintext, `theirs, ${size} bytes`);
    const ours = seal(vector.publicKey, vector.info, vector.aad, plaintext);
    t.same(await suite.Open(pair, ours.enc, ours.ct, { info: vector.info, aad: vector.aad }), plaintext, `ours, ${size} bytes`);
  }
});

void t.test("what is sealed opens, for any info, aad and plaintext", (t) => {
  const recipient = generateRecipient();
  const text = fc.uint8Array({ maxLength: 300 });
  fc.assert(fc.property(text, text, text, (info, aad, plaintext) => {
    const opened = open4(recipient, seal(recipient.publicKey, info, aad, plaintext), info, aad);
    return Buffer.compare(opened, plaintext) === 0;
  }), { numRuns: 100 });
  t.end();
});

void t.test("a byte changed anywhere, or any part cut or grown, does not open", (t) => {
  const recipient = generateRecipient();
  const [info, aad] = [utf8("info"), utf8("aad")];
  const parts = { ...seal(recipient.publicKey, info, aad, utf8("thirty-two bytes of one share ..")), info, aad };
  const opening = (changed: Partial<typeof parts>) => {
    const { enc, ct, info, aad } = { ...parts, ...changed };
    return open(recipient, enc, info, aad, ct);
  };
  t.equal(opening({}).length, 32, "unchanged it opens");
  for (const field of ["enc", "ct", "info", "aad"] as const) {
    const original = parts[field];
    for (let index = 0; index < original.length; index++) {
      const changed = new Uint8Array(original);
      changed[index]! ^= 1 << (index % 8);
      t.throws(() => opening({ [field]: changed }), invalid, `${field}[${index}]`);
    }
    t.throws(() => opening({ [field]: original.subarray(1) }), invalid, `${field} cut in front`);
    t.throws(() => opening({ [field]: original.subarray(0, -1) }), invalid, `${field} cut behind`);
    t.throws(() => opening({ [field]: Buffer.concat([original, Buffer.of(0)]) }), invalid, `${field} grown`);
    t.throws(() => opening({ [field]: new Uint8Array(0) }), invalid, `${field} empty`);
  }
  t.throws(() => open4(generateRecipient(), parts, info, aad), invalid, "another recipient");
  t.not(Buffer.compare(seal(recipient.publicKey, info, aad, utf8("x")).enc, seal(recipient.publicKey, info, aad, utf8("x")).enc), 0, "a fresh key each time");
  t.end();
});

void t.test("only an uncompressed point on the curve is a recipient or an encapsulated key", (t) => {
  const recipient = generateRecipient();
  const good = recipient.publicKey;
  const offCurve = new Uint8Array(good);
  offCurve[64]! ^= 1;
  const compressed = new Uint8Array([2 + (good[64]! & 1), ...good.subarray(1, 33)]);
  const hybrid = new Uint8Array([6 + (good[64]! & 1), ...good.subarray(1)]);
  const beyondField = new Uint8Array([4, ...new Uint8Array(64).fill(255)]);
  let agreed = 0;
  const counting: Recipient = { publicKey: good, agree: (peer) => { agreed++; return recipient.agree(peer); } };
  for (const [what, point] of Object.entries({ offCurve, compressed, hybrid, beyondField, infinity: Uint8Array.of(0), empty: new Uint8Array(0), zero: new Uint8Array(65) })) {
    t.throws(() => seal(point, good, good, good), invalid, `sealing to ${what}`);
    t.throws(() => open(counting, point, good, good, new Uint8Array(48)), invalid, `opening from ${what}`);
  }
  t.equal(agreed, 0, "a bad point never reaches the private key");
  t.end();
});

void t.test("the shared secret is wiped on success and on failure; a destroyed recipient opens nothing", (t) => {
  const inner = generateRecipient();
  const given: Uint8Array[] = [];
  const recipient: Recipient = {
    publicKey: inner.publicKey,
    agree: (peer) => {
      const shared = inner.agree(peer);
      t.notOk(shared.every((byte) => byte === 0));
      given.push(shared);
      return shared;
    },
  };
  const box = seal(inner.publicKey, utf8("i"), utf8("a"), utf8("p"));
  open4(recipient, box, utf8("i"), utf8("a"));
  t.throws(() => open4(recipient, box, utf8("other"), utf8("a")), invalid);
  t.equal(given.length, 2);
  t.ok(given.every((shared) => shared.every((byte) => byte === 0)), "zeros");
  inner.destroy();
  t.throws(() => open4(inner, box, utf8("i"), utf8("a")), SealError);
  t.throws(() => open4(inner, box, utf8("i"), utf8("a")), { message: /destroyed/ });
  t.end();
});
