import { z } from "zod";
import { counter, id } from "../protocol/primitives.ts";
import { bytes, exactly } from "../runtime/ipc.ts";

/** What crosses between an agent and its hsm process: public or sealed, never a secret in clear. */
const role = z.enum(["identity", "authority"]);
const point = exactly(65);
const context = bytes(4096);
const message = bytes(65_536);
const empty = z.strictObject({});
const done = z.void();
const receivingId = z.string().min(1).max(128);
const sealed = z.strictObject({ enc: point, ct: bytes(256) });
const vault = z.strictObject({ generation: counter, enc: point, ct: exactly(48) });
const shard = z.strictObject({ iv: exactly(12), ct: exactly(32), tag: exactly(16) });
const digest = { digestPrefix: context, digest: exactly(32) };
const stored = { vault, sealed: shard, aad: context, ...digest };
/** One synchronous batch of a box's records. */
const mostShards = 4096;

const info = z.strictObject({
  manufacturer: z.string(), model: z.string(), label: z.string(), serial: z.string(), backing: z.enum(["software", "hardware"]),
});

export const hsmCalls = {
  createToken: { args: empty, result: info },
  info: { args: empty, result: info },
  reopen: { args: empty, result: done },
  createKey: { args: z.strictObject({ role }), result: point },
  publicKey: { args: z.strictObject({ role }), result: point },
  sign: { args: z.strictObject({ role, message }), result: exactly(64) },
  random: { args: z.strictObject({ length: z.int().min(1).max(1024) }), result: bytes(1024) },
  selfTest: { args: empty, result: done },
  createChallengeSecret: { args: z.strictObject({ box: id, recipient: point, info: context }), result: sealed },
  acceptChallengeSecret: { args: z.strictObject({ box: id, generation: counter, enc: point, ct: exactly(48), info: context }), result: done },
  removeChallengeSecret: { args: z.strictObject({ box: id }), result: done },
  mac: { args: z.strictObject({ box: id, message }), result: exactly(32) },
  verifyMac: { args: z.strictObject({ box: id, message, mac: bytes(64) }), result: z.boolean() },
  createSealKey: { args: z.strictObject({ generation: counter }), result: point },
  sealKeys: { args: empty, result: z.array(z.number()) },
  destroySealKey: { args: z.strictObject({ generation: counter }), result: done },
  createVault: { args: z.strictObject({ generation: counter }), result: sealed },
  openReceiving: { args: z.strictObject({ id: receivingId }), result: point },
  closeReceiving: { args: z.strictObject({ id: receivingId }), result: done },
  receivePiece: { args: z.strictObject({ id: receivingId, ...sealed.shape, info: context, aad: context, ...digest }), result: done },
  checkValue: { args: z.strictObject({ id: receivingId, seed: exactly(32), keyId: z.string().max(128) }), result: exactly(16) },
  commitPiece: { args: z.strictObject({ id: receivingId, vault, aad: context }), result: shard },
  checkShard: { args: z.strictObject(stored), result: z.boolean() },
  releaseShard: { args: z.strictObject({ ...stored, recipient: point, info: context, hpkeAad: context }), result: sealed },
  resealShards: {
    args: z.strictObject({ from: vault, to: vault, shards: z.array(z.strictObject({ sealed: shard, aad: context })).max(mostShards) }),
    result: z.array(shard),
  },
} as const;
export type HsmCalls = typeof hsmCalls;
