import { createDecipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import { canonical } from "../../agent/protocol/canonical.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom, type Random } from "../../agent/runtime/random.ts";
import { secretBytes } from "../../agent/runtime/secrets.ts";
import { requestDigest, type UseBody } from "../../agent/protocol/request.ts";
import { openResult } from "../../agent/protocol/result.ts";
import { ask, makeKey, openSigned, operation, payloadFor, recordOf, result, site, type Key } from "./scene.ts";

const core = (random: Random = systemRandom): EnclaveCore => new EnclaveCore(random, () => undefined);
const hello = Buffer.from("hello");

async function run(key: Key, by: readonly number[], payload: Uint8Array, change: Partial<UseBody>, random?: Random): Promise<Uint8Array> {
  const enclave = core(random);
  const asked = await ask(payload, change);
  await enclave.payload(payloadFor(asked, enclave.keys));
  const args = operation(asked, enclave.keys, key, by);
  return openSigned(args.fields, await enclave.operate(args));
}

void t.test("what any t holders encrypt any other t decrypt; wrap and unwrap likewise", async (t) => {
  const pairs: readonly (readonly ["encrypt" | "wrap", "decrypt" | "unwrap"])[] = [["encrypt", "decrypt"], ["wrap", "unwrap"]];
  const anyCase = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.nat(3), fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...pairs))
    .chain(([threshold, more, payload, pair]) => fc.record({
      threshold: fc.constant(threshold), payload: fc.constant(payload), pair: fc.constant(pair),
      xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: threshold + more, maxLength: threshold + more }),
      first: fc.shuffledSubarray(Array.from({ length: threshold + more }, (_, i) => i), { minLength: threshold, maxLength: threshold }),
      second: fc.shuffledSubarray(Array.from({ length: threshold + more }, (_, i) => i), { minLength: threshold }),
    }));
  await fc.assert(fc.asyncProperty(anyCase, async ({ threshold, xs, payload, pair: [forth, back], first, second }) => {
    const key = await makeKey(threshold, xs);
    const ciphertext = await run(key, first, payload, { operation: forth });
    t.strictSame(Buffer.from(await run(key, second, ciphertext, { operation: back })), Buffer.from(payload));
  }), { numRuns: 15 });
});

void t.test("a ciphertext opens only under its own resource, key, version and use (protocol.md §4)", async (t) => {
  const key = await makeKey(2, [1, 2, 3]);
  const made = await run(key, [0, 1], hello, {});
  const other = { ...key, record: { ...key.record } };
  t.strictSame(Buffer.from(await run(other, [1, 2], made, { operation: "decrypt" })), hello);
  await t.rejects(run(key, [0, 1], made, { operation: "decrypt", resource: "public/march" }), { code: "CIPHERTEXT_INVALID" });
  await t.rejects(run(key, [0, 1], made, { operation: "unwrap" }), { code: "CIPHERTEXT_INVALID" });
  for (const change of [{ key: "public" }, { version: 2 }]) {
    const renamed = { ...key, record: recordOf(key.master, key.holders, 2, change) };
    await t.rejects(run(renamed, [0, 1], made, { operation: "decrypt", key: renamed.record.key }), { code: "CIPHERTEXT_INVALID" }, JSON.stringify(change));
  }
  await t.rejects(run(await makeKey(2, [1, 2, 3]), [0, 1], made, { operation: "decrypt" }), { code: "CIPHERTEXT_INVALID" });
});

void t.test("mac is HMAC-SHA-256 under a working key of its own", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const out = await run(key, [0, 1], hello, { operation: "mac" });
  const random = Buffer.from(out.subarray(0, 32));
  const working = createHmac("sha256", key.master).update(canonical("working-key", site, { key: "payroll", version: 1, use: "mac", resource: "payroll/march", random })).digest();
  t.strictSame(Buffer.from(out.subarray(32)), createHmac("sha256", working).update(hello).digest());
});

void t.test("a ciphertext as node:crypto alone opens it", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const out = Buffer.from(await run(key, [0, 1], hello, {}));
  const random = out.subarray(4, 36);
  const name = { key: "payroll", version: 1, use: "data", resource: "payroll/march", random };
  const working = createHmac("sha256", key.master).update(canonical("working-key", site, name)).digest();
  const decipher = createDecipheriv("aes-256-gcm", working, Buffer.alloc(12)).setAAD(canonical("ciphertext", site, { format: 1, ...name })).setAuthTag(out.subarray(-16));
  t.equal(out.subarray(0, 4).toString(), "SKC1");
  t.strictSame(Buffer.concat([decipher.update(out.subarray(36, -16)), decipher.final()]), hello);
});

void t.test("the result is sealed to the requester and signed for this request alone", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const enclave = core();
  const asked = await ask(hello);
  await enclave.payload(payloadFor(asked, enclave.keys));
  const args = operation(asked, enclave.keys, key, [0, 1]);
  const signed = await enclave.operate(args);
  t.equal(openSigned(args.fields, signed).length, hello.length + 52);
  const digest = requestDigest(args.fields);
  const refused = { code: "RESULT_INVALID" };
  t.throws(() => openResult(result, site, toBase64url(systemRandom.bytes(32)), enclave.keys.sign, signed), refused, "another digest");
  t.throws(() => openResult(result, "other", digest, enclave.keys.sign, signed), refused, "another site");
  t.throws(() => openResult(result, site, digest, core().keys.sign, signed), refused, "another enclave");
  t.throws(() => openResult(result, site, digest, enclave.keys.sign, { ...signed, digest: toBase64url(systemRandom.bytes(32)) }), refused, "said to answer another request");
  t.throws(() => openResult(result, site, digest, enclave.keys.sign, { ...signed, result: { ...signed.result, enc: core().keys.seal } }), refused, "another result");
  t.throws(() => openResult(generateRecipient(), site, digest, enclave.keys.sign, signed), { code: "SEAL_INVALID" }, "another requester");
});

void t.test("one operation, then nothing but ENCLAVE_SPENT, and `done` is said once", async (t) => {
  const key = await makeKey(2, [1, 2]);
  let said = 0;
  const enclave = new EnclaveCore(systemRandom, () => { said += 1; });
  const asked = await ask(hello);
  await enclave.payload(payloadFor(asked, enclave.keys));
  const args = operation(asked, enclave.keys, key, [0, 1]);
  t.equal(said, 0);
  const [one, two] = await Promise.allSettled([enclave.operate(args), enclave.operate(args)]);
  t.equal(one.status, "fulfilled");
  t.match(two, { status: "rejected", reason: { code: "ENCLAVE_BUSY" } });
  t.equal(said, 1);
  await t.rejects(enclave.operate(args), { code: "ENCLAVE_SPENT" });
  await t.rejects(enclave.payload(payloadFor(asked, enclave.keys)), { code: "ENCLAVE_SPENT" });
  await enclave.end();
  t.equal(said, 1);
});

void t.test("a failed operation spends the enclave too: the key was there", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const enclave = core();
  const asked = await ask(secretBytes(100), { operation: "decrypt" });
  await enclave.payload(payloadFor(asked, enclave.keys));
  const args = operation(asked, enclave.keys, key, [0, 1]);
  await t.rejects(enclave.operate(args), { code: "CIPHERTEXT_INVALID" });
  await t.rejects(enclave.operate(args), { code: "ENCLAVE_SPENT" });
});

void t.test("ended in the middle, it gives no result", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const enclave = core();
  const asked = await ask(hello);
  await enclave.payload(payloadFor(asked, enclave.keys));
  const under = enclave.operate(operation(asked, enclave.keys, key, [0, 1]));
  await enclave.end();
  await t.rejects(under, { code: "ENCLAVE_SPENT" });
});
