import { z } from "zod";
import { counter, id } from "../protocol/primitives.ts";
import { bytes, exactly } from "../runtime/ipc.ts";

/**
 * What crosses between an agent and its hsm process: public or sealed, never a secret in clear. Fields
 * that are not named here are dropped: an agent passes the records of its store as they are.
 */
const role = z.enum(["identity", "authority"]);
const point = exactly(65);
const context = bytes(4096);
const message = bytes(65_536);
/** The plan of a large batch is the longest. */
const statement = bytes(1_048_576);
const empty = z.object({});
const done = z.void();
const receivingId = z.string().min(1).max(128);
const keyId = z.string().max(128);
const sealed = z.object({ enc: point, ct: bytes(256) });
const vault = z.object({ generation: counter, enc: point, ct: exactly(48) });
const shard = z.object({ iv: exactly(12), ct: exactly(32), tag: exactly(16) });
const digest = { digestPrefix: context, digest: exactly(32) };
const stored = { vault, sealed: shard, aad: context, ...digest };
/** One synchronous batch of a box's records. */
const mostShards = 4096;

/** A re-shard's batch of keys; 1000 take well under the deadline (docs/hsm.md). */
const mostKeys = 1000;
const mostParties = 255;
const batch = <T extends z.ZodType>(one: T) => z.array(one).min(1).max(mostKeys).readonly();
const parties = <T extends z.ZodType>(one: T) => z.array(one).max(mostParties).readonly();
/** What a threshold and an x may be is refused by name where they are used (agent/sharding). */
const threshold = z.int();
const x = z.int();
const transcript = exactly(32);
const batchShard = z.object({ sealed: shard, aad: context, ...digest });
/** Sub-share(32) of each key ‖ mask(16) ‖ tag(16). */
const dealtPiece = z.object({ enc: point, ct: bytes(32 * mostKeys + 32) });
const dealTo = z.object({ x, recipient: point, info: context });
const dealtBox = dealtPiece.extend({ info: context });

const info = z.object({
  manufacturer: z.string(), model: z.string(), label: z.string(), serial: z.string(), backing: z.enum(["software", "hardware"]),
});

export const hsmCalls = {
  createToken: { args: empty, result: info },
  tokens: { args: empty, result: z.array(z.object({ label: z.string(), serial: z.string(), flags: z.number() })) },
  destroyEverything: { args: empty, result: z.number() },
  info: { args: empty, result: info },
  reopen: { args: empty, result: done },
  createKey: { args: z.object({ role }), result: point },
  publicKey: { args: z.object({ role }), result: point },
  sign: { args: z.object({ role, message: statement }), result: exactly(64) },
  random: { args: z.object({ length: z.int().min(1).max(1024) }), result: bytes(1024) },
  selfTest: { args: empty, result: done },
  createChallengeSecret: { args: z.object({ box: id, recipient: point, info: context }), result: sealed },
  acceptChallengeSecret: { args: z.object({ box: id, generation: counter, enc: point, ct: exactly(48), info: context }), result: done },
  removeChallengeSecret: { args: z.object({ box: id }), result: done },
  mac: { args: z.object({ box: id, message }), result: exactly(32) },
  verifyMac: { args: z.object({ box: id, message, mac: bytes(64) }), result: z.boolean() },
  createSealKey: { args: z.object({ generation: counter }), result: point },
  sealKeys: { args: empty, result: z.array(z.number()) },
  destroySealKey: { args: z.object({ generation: counter }), result: done },
  createVault: { args: z.object({ generation: counter }), result: sealed },
  openReceiving: { args: z.object({ id: receivingId }), result: point },
  closeReceiving: { args: z.object({ id: receivingId }), result: done },
  receivePiece: { args: z.object({ id: receivingId, ...sealed.shape, info: context, aad: context, ...digest }), result: done },
  checkValue: { args: z.object({ id: receivingId, seed: exactly(32), keyId }), result: exactly(16) },
  commitPiece: { args: z.object({ id: receivingId, vault, aad: context }), result: shard },
  checkShards: { args: z.object({ vault, shards: z.array(batchShard).max(mostShards).readonly() }), result: z.array(z.boolean()) },
  releaseShard: { args: z.object({ ...stored, recipient: point, info: context, hpkeAad: context }), result: sealed },
  resealShards: {
    args: z.object({ from: vault, to: vault, shards: z.array(z.object({ sealed: shard, aad: context })).max(mostShards) }),
    result: z.array(shard),
  },
  dealShards: {
    args: z.object({ id: receivingId, vault, shards: batch(batchShard), t: threshold, nextT: threshold, holders: parties(dealTo), witnesses: parties(dealTo) }),
    result: z.object({ holders: z.array(dealtPiece), witnesses: z.array(dealtPiece) }),
  },
  revealSeal: {
    args: dealtBox.extend({ id: receivingId, x, recipient: point, transcript, keyIds: batch(keyId), published: exactly(16) }),
    result: exactly(32),
  },
  closeDealing: { args: z.object({ id: receivingId }), result: done },
  receiveDealt: {
    args: z.object({
      id: receivingId, keys: z.int().min(1).max(mostKeys),
      dealers: parties(z.object({ x, holder: dealtBox.optional(), witness: dealtBox.optional() })),
    }),
    result: done,
  },
  holderCheck: {
    args: z.object({ id: receivingId, transcript, keys: batch(z.object({ keyId, digestPrefix: context })) }),
    result: z.object({ values: z.array(exactly(16)), digests: z.array(exactly(32)) }),
  },
  witnessCheck: { args: z.object({ id: receivingId, transcript, vault, shards: batch(batchShard.extend({ keyId })) }), result: exactly(16) },
  commitDealt: { args: z.object({ id: receivingId, vault, shards: batch(z.object({ aad: context, ...digest })) }), result: z.array(shard) },
} as const;
export type HsmCalls = typeof hsmCalls;
