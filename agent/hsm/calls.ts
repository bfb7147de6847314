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
const empty = z.object({});
const done = z.void();
const receivingId = z.string().min(1).max(128);
const sealed = z.object({ enc: point, ct: bytes(256) });
const vault = z.object({ generation: counter, enc: point, ct: exactly(48) });
const shard = z.object({ iv: exactly(12), ct: exactly(32), tag: exactly(16) });
const digest = { digestPrefix: context, digest: exactly(32) };
const stored = { vault, sealed: shard, aad: context, ...digest };
/** One synchronous batch of a box's records. */
const mostShards = 4096;

const info = z.object({
  manufacturer: z.string(), model: z.string(), label: z.string(), serial: z.string(), backing: z.enum(["software", "hardware"]),
});

export const hsmCalls = {
  createToken: { args: empty, result: info },
  info: { args: empty, result: info },
  reopen: { args: empty, result: done },
  createKey: { args: z.object({ role }), result: point },
  publicKey: { args: z.object({ role }), result: point },
  sign: { args: z.object({ role, message }), result: exactly(64) },
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
  checkValue: { args: z.object({ id: receivingId, seed: exactly(32), keyId: z.string().max(128) }), result: exactly(16) },
  commitPiece: { args: z.object({ id: receivingId, vault, aad: context }), result: shard },
  checkShard: { args: z.object(stored), result: z.boolean() },
  releaseShard: { args: z.object({ ...stored, recipient: point, info: context, hpkeAad: context }), result: sealed },
  resealShards: {
    args: z.object({ from: vault, to: vault, shards: z.array(z.object({ sealed: shard, aad: context })).max(mostShards) }),
    result: z.array(shard),
  },
} as const;
export type HsmCalls = typeof hsmCalls;
