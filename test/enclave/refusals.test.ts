import t, { type Test } from "tap";
import { enclaveCalls, type OperateArgs } from "../../agent/enclave/calls.ts";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import { keyRecordHash, type KeyRecord } from "../../agent/protocol/key-record.ts";
import { mostPayload } from "../../agent/protocol/messages.ts";
import type { RequestFields } from "../../agent/protocol/request.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { ask, fieldsFor, makeKey, openSigned, operation, payloadFor, recordOf, release, text, type Asked, type Key } from "./scene.ts";

const hello = Buffer.from("hello");
const core = (): EnclaveCore => new EnclaveCore(systemRandom, () => undefined);

interface Ready {
  readonly enclave: EnclaveCore;
  readonly asked: Asked;
  readonly args: OperateArgs;
}

async function ready(key: Key, by = [0, 1]): Promise<Ready> {
  const enclave = core();
  const asked = await ask(hello);
  await enclave.payload(payloadFor(asked, enclave.keys));
  return { enclave, asked, args: operation(asked, enclave.keys, key, by) };
}

/** After a refusal nothing has changed: the true arguments still get their result. */
async function refuses(t: Test, { enclave, args }: Ready, changed: OperateArgs, expected: { code: string; message?: RegExp }, what: string): Promise<void> {
  await t.rejects(enclave.operate(changed), expected, what);
  t.ok(openSigned(args.fields, await enclave.operate(args)), `${what}: unharmed`);
}

void t.test("every field of the request is bound: changed, no shard opens and no result comes", async (t) => {
  const key = await makeKey(2, [1, 2, 3]);
  const other = text(32);
  const body = (change: Partial<RequestFields["use"]["body"]>) => (fields: RequestFields): RequestFields => ({ ...fields, use: { ...fields.use, body: { ...fields.use.body, ...change } } });
  const changes: Record<string, [(fields: RequestFields) => RequestFields, string]> = {
    "use.body.request": [body({ request: text(16) }), "WRONG_REQUEST"],
    "use.body.reason": [body({ reason: "april" }), "WRONG_REQUEST"],
    "use.body.key": [body({ key: "public" }), "WRONG_REQUEST"],
    "use.body.operation": [body({ operation: "mac" }), "WRONG_REQUEST"],
    "use.body.resource": [body({ resource: "public/march" }), "WRONG_REQUEST"],
    "use.body.commitment": [body({ commitment: other }), "WRONG_REQUEST"],
    "use.body.resultKey": [body({ resultKey: core().keys.seal }), "WRONG_REQUEST"],
    "use.site": [(fields) => ({ ...fields, use: { ...fields.use, site: "other" } }), "WRONG_REQUEST"],
    "use.by": [(fields) => ({ ...fields, use: { ...fields.use, by: "mallory" } }), "SHARD_UNREADABLE"],
    "use.sig": [(fields) => ({ ...fields, use: { ...fields.use, sig: text(64) } }), "SHARD_UNREADABLE"],
    epoch: [(fields) => ({ ...fields, epoch: 9 }), "WRONG_RECORD"],
    attempt: [(fields) => ({ ...fields, attempt: 9 }), "WRONG_RECORD"],
    record: [(fields) => ({ ...fields, record: other }), "WRONG_RECORD"],
    "enclave.seal": [(fields) => ({ ...fields, enclave: { ...fields.enclave, seal: core().keys.seal } }), "WRONG_ENCLAVE"],
    "enclave.sign": [(fields) => ({ ...fields, enclave: { ...fields.enclave, sign: core().keys.sign } }), "WRONG_ENCLAVE"],
    "coordinator.id": [(fields) => ({ ...fields, coordinator: { ...fields.coordinator, id: "box-1" } }), "SHARD_UNREADABLE"],
    "coordinator.boot": [(fields) => ({ ...fields, coordinator: { ...fields.coordinator, boot: text(16) } }), "SHARD_UNREADABLE"],
    "siteRecord.version": [(fields) => ({ ...fields, siteRecord: { ...fields.siteRecord, version: 8 } }), "SHARD_UNREADABLE"],
    "siteRecord.hash": [(fields) => ({ ...fields, siteRecord: { ...fields.siteRecord, hash: other } }), "SHARD_UNREADABLE"],
    deadlineMs: [(fields) => ({ ...fields, deadlineMs: 60_001 }), "SHARD_UNREADABLE"],
    nonces: [(fields) => ({ ...fields, nonces: fields.nonces.slice(1) }), "SHARD_UNREADABLE"],
    "nonces.nonce": [(fields) => ({ ...fields, nonces: fields.nonces.map((one) => ({ ...one, nonce: text(16) })) }), "SHARD_UNREADABLE"],
  };
  for (const [what, [change, code]] of Object.entries(changes)) {
    const one = await ready(key);
    await refuses(t, one, { ...one.args, fields: change(one.args.fields) }, { code }, what);
  }
});

void t.test("every field of the record is bound", async (t) => {
  const key = await makeKey(2, [1, 2, 3]);
  const other = text(32);
  const changes: Partial<KeyRecord>[] = [
    { site: "other" }, { key: "public" }, { version: 2 }, { epoch: 9 }, { attempt: 9 }, { threshold: 3 }, { holders: key.record.holders.slice(0, 2) },
    { holders: key.record.holders.map((holder) => ({ ...holder, x: holder.x + 1 })) }, { holders: key.record.holders.map((holder) => ({ ...holder, digest: other })) },
    { check: other }, { plan: other }, { previous: other }, { imported: "AAAA" },
  ];
  for (const change of changes) {
    const one = await ready(key);
    await refuses(t, one, { ...one.args, record: { ...one.args.record, ...change } }, { code: "WRONG_RECORD" }, Object.keys(change).join());
  }
});

void t.test("a request for one key with the true record of another", async (t) => {
  const key = await makeKey(2, [1, 2], { key: "public" });
  const { enclave, asked } = await ready(await makeKey(2, [1, 2]));
  await t.rejects(enclave.operate(operation(asked, enclave.keys, key, [0, 1])), { code: "WRONG_RECORD" });
  for (const change of [{ epoch: 9 }, { attempt: 9 }]) {
    const args = operation(asked, enclave.keys, await makeKey(2, [1, 2]), [0, 1]);
    await t.rejects(enclave.operate({ ...args, fields: { ...args.fields, ...change } }), { code: "WRONG_RECORD" }, "the record is the named one, the epoch is not");
  }
});

void t.test("a record of another site", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const record = { ...key.record, site: "other" };
  const { enclave, asked } = await ready(key);
  await t.rejects(enclave.operate(operation(asked, enclave.keys, { ...key, record }, [0, 1])), { code: "WRONG_RECORD" });
});

void t.test("shares of 16 bytes, as a mask has, are no key, even if record and check value say so", async (t) => {
  const { holders, ...rest } = await makeKey(2, [1, 2]);
  const short = holders.map((holder) => ({ ...holder, share: holder.share.slice(0, 16) }));
  const master = await combineShares(short.map(({ x, share }) => ({ x, y: share })), 2);
  const key: Key = { ...rest, master, holders: short, record: recordOf(master, short, 2) };
  const { enclave, args } = await ready(key);
  await t.rejects(enclave.operate(args), { code: "SHARD_DIGEST_MISMATCH" });
});

void t.test("a shard that is not the record's never reaches combine, and the refusal names its box", async (t) => {
  const key = await makeKey(2, [1, 2, 3]);
  const flipped = key.holders[1]!.share.slice();
  flipped[31]! ^= 1;
  const of = async (change: (one: Ready) => OperateArgs["shards"], code: string, what: string): Promise<void> => {
    const one = await ready(key);
    await refuses(t, one, { ...one.args, shards: change(one) }, { code, ...(code.startsWith("SHARD_D") || code === "SHARD_UNREADABLE" ? { message: /box/ } : {}) }, what);
  };
  const [first, second] = [key.holders[0]!, key.holders[1]!];
  const beside = (shard: (fields: RequestFields) => OperateArgs["shards"][number]) => ({ args }: Ready): OperateArgs["shards"] => [args.shards[0]!, shard(args.fields)];
  await of(beside((fields) => release(fields, key.record, { ...second, share: flipped })), "SHARD_DIGEST_MISMATCH", "a flipped byte");
  await of(beside((fields) => release(fields, key.record, { ...second, share: first.share })), "SHARD_DIGEST_MISMATCH", "another box's shard");
  await of(beside((fields) => release(fields, key.record, { ...second, share: second.share.slice(1) })), "SHARD_DIGEST_MISMATCH", "31 bytes");
  await of(beside((fields) => release(fields, key.record, { ...second, x: 3 })), "SHARD_UNREADABLE", "another x");
  await of(beside((fields) => release(fields, { ...key.record, epoch: 1 }, second)), "SHARD_UNREADABLE", "another epoch");
  await of(beside((fields) => release(fields, { ...key.record, attempt: 1 }, second)), "SHARD_UNREADABLE", "another attempt");
  await of(beside((fields) => release(fields, { ...key.record, key: "public" }, second)), "SHARD_UNREADABLE", "another key");
  await of(beside((fields) => release(fields, key.record, second, text(32))), "SHARD_UNREADABLE", "another request");
  await of(beside((fields) => ({ ...release(fields, key.record, first), box: "box-2" })), "SHARD_UNREADABLE", "sent under another box's name");
  await of(({ args }) => [args.shards[0]!, args.shards[0]!], "SHARD_DUPLICATE", "the same shard twice");
  await of(({ args }) => [args.shards[0]!], "NOT_ENOUGH_SHARDS", "one of two");
  await of(beside((fields) => release(fields, key.record, { ...second, box: "box-9" })), "SHARD_UNEXPECTED", "no holder");
});

void t.test("x = 0 and a duplicate x are refused in a record too, before anything is combined", async (t) => {
  const key = await makeKey(2, [1, 2, 3]);
  for (const [xs, code] of [[[0, 2], "SHARE_X_INVALID"], [[2, 2], "SHARE_X_DUPLICATE"]] as const) {
    const holders = xs.map((x, i) => ({ box: `box-${i + 1}`, x, share: key.holders[i]!.share }));
    const record = recordOf(key.master, holders, 2);
    const { enclave, asked } = await ready(key);
    const args = operation(asked, enclave.keys, { ...key, holders, record }, [0, 1]);
    await t.rejects(enclave.operate(args), { code });
    t.equal(enclaveCalls.operate.args.safeParse(args).success, code !== "SHARE_X_INVALID", "the process's schema refuses x = 0 before that");
  }
  const twice = [key.holders[0]!, { ...key.holders[1]!, box: "box-1" }];
  const { enclave, asked } = await ready(key);
  const args = operation(asked, enclave.keys, { ...key, holders: twice, record: recordOf(key.master, twice, 2) }, [0, 1]);
  await t.rejects(enclave.operate({ ...args, shards: [args.shards[0]!, { ...args.shards[1]!, box: "box-2" }] }), { code: "SHARD_DUPLICATE" }, "a box twice in the record");
});

void t.test("a share that was dealt wrong: more shards tell which one; with just enough nobody is accused", async (t) => {
  const { master, holders } = await makeKey(3, [1, 2, 3, 4, 5]);
  holders[1]!.share[0]! ^= 1;
  const key: Key = { master, holders, record: recordOf(master, holders, 3) }; // the digest fits the wrong share
  const { enclave, asked } = await ready(key);
  const exact = operation(asked, enclave.keys, key, [0, 1, 2]);
  await t.rejects(enclave.operate(exact), { code: "KEY_CHECK_FAILED", retryable: true, message: /^(?!.*box)/ });
  const more = { ...exact, shards: [...exact.shards, release(exact.fields, key.record, holders[3]!)] };
  const result = await enclave.operate(more);
  t.strictSame(result.offPolynomial, ["box-2"]);
  t.ok(openSigned(exact.fields, result));
  const all = await ready(key, [0, 2, 3, 4, 1]);
  t.strictSame((await all.enclave.operate(all.args)).offPolynomial, ["box-2"], "also when the first choice was right");
  const good = await makeKey(3, [1, 2, 3, 4, 5]);
  const honest = await ready(good, [4, 3, 2, 1, 0]);
  t.strictSame((await honest.enclave.operate(honest.args)).offPolynomial, []);
  const wrong = { ...good, record: { ...good.record, check: text(32) } };
  const five = await ready(wrong, [0, 1, 2, 3, 4]);
  await t.rejects(five.enclave.operate(five.args), { code: "KEY_CHECK_FAILED" }, "no choice fits");
});

void t.test("the search for the right choice is bounded", async (t) => {
  const { master, holders } = await makeKey(8, Array.from({ length: 16 }, (_, i) => i + 1));
  holders[0]!.share[0]! ^= 1;
  const key: Key = { master, holders, record: recordOf(master, holders, 8) };
  const { enclave, args } = await ready(key, holders.map((_, i) => i));
  await t.rejects(enclave.operate(args), { code: "KEY_CHECK_FAILED" }, "the first 6435 choices hold the wrong share");
  t.strictSame((await enclave.operate({ ...args, shards: args.shards.slice(0, 9) })).offPolynomial, ["box-1"], "one more than needed is enough");
});

void t.test("the payload: once, as committed, for this request, not too long", async (t) => {
  const enclave = core();
  const asked = await ask(hello);
  const key = await makeKey(2, [1, 2]);
  const args = operation(asked, enclave.keys, key, [0, 1]);
  await t.rejects(enclave.operate(args), { code: "PAYLOAD_MISSING" });
  await t.rejects(enclave.payload(payloadFor(asked, core().keys)), { code: "SEAL_INVALID" }, "sealed to another enclave");
  await t.rejects(enclave.payload({ ...payloadFor(asked, enclave.keys), site: "other" }), { code: "SEAL_INVALID" }, "another site");
  const renamed = { ...asked.use.body, request: text(16) };
  await t.rejects(enclave.payload({ ...payloadFor(asked, enclave.keys), use: renamed }), { code: "SEAL_INVALID" }, "another request");
  const mismatch = { code: "PAYLOAD_MISMATCH" };
  const salted = asked.salted.slice();
  salted[32]! ^= 1;
  await t.rejects(enclave.payload(payloadFor({ ...asked, salted }, enclave.keys)), mismatch, "another payload");
  salted[32]! ^= 1;
  salted[0]! ^= 1;
  await t.rejects(enclave.payload(payloadFor({ ...asked, salted }, enclave.keys)), mismatch, "another salt");
  await t.rejects(enclave.payload(payloadFor({ ...asked, salted: salted.subarray(0, 31) }, enclave.keys)), mismatch, "no payload at all");
  const noKey = await ask(hello, { resultKey: text(65) });
  await t.rejects(enclave.payload(payloadFor(noKey, enclave.keys)), { code: "SEAL_INVALID", message: /result key/ });
  for (const [operationName, most] of [["encrypt", mostPayload - 52], ["wrap", mostPayload - 52], ["decrypt", mostPayload], ["mac", mostPayload]] as const) {
    const long = await ask(new Uint8Array(most + 1), { operation: operationName });
    await t.rejects(enclave.payload(payloadFor(long, enclave.keys)), { code: "PAYLOAD_TOO_LONG" }, operationName);
  }
  await enclave.payload(payloadFor(asked, enclave.keys));
  await t.rejects(enclave.payload(payloadFor(asked, enclave.keys)), { code: "PAYLOAD_TAKEN" });
  t.ok(openSigned(args.fields, await enclave.operate(args)));
});

void t.test("the longest payload gives a result that a message can carry", async (t) => {
  const enclave = core();
  const asked = await ask(new Uint8Array(mostPayload - 52));
  const payload = payloadFor(asked, enclave.keys);
  t.ok(enclaveCalls.payload.args.safeParse(payload).success);
  await enclave.payload(payload);
  const args = operation(asked, enclave.keys, await makeKey(2, [1, 2]), [0, 1]);
  t.ok(enclaveCalls.operate.args.safeParse(args).success);
  t.ok(enclaveCalls.operate.result.safeParse(await enclave.operate(args)).success);
});

void t.test("an enclave with a request to make a key does nothing else", async (t) => {
  const key = await makeKey(2, [1, 2]);
  const enclave = core();
  const asked = await ask(new Uint8Array(), { operation: "create", create: { kind: "aes-256", threshold: 2, holders: ["box-1", "box-2"], imported: false } });
  await enclave.payload(payloadFor(asked, enclave.keys));
  const fields = fieldsFor(asked.use, enclave.keys, { epoch: 2, attempt: 3, record: keyRecordHash(key.record) });
  await t.rejects(enclave.operate({ fields, record: key.record, shards: key.holders.map((holder) => release(fields, key.record, holder)) }), { code: "WRONG_OPERATION" });
  await t.rejects(enclave.payload(payloadFor(asked, enclave.keys)), { code: "PAYLOAD_TAKEN" }, "no key was combined for it");
});
