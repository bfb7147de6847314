import { z } from "zod";
import { deal, join, keyRecord, plan } from "../protocol/key-record.ts";
import { mostPayload } from "../protocol/messages.ts";
import { base64url, hash, id, sealedUpTo } from "../protocol/primitives.ts";
import { enclaveKeys, requestFields, useBody } from "../protocol/request.ts";
import type { EnclaveKeys } from "../protocol/request.ts";
import type { Args, Result } from "../runtime/ipc.ts";

const result = z.strictObject({ digest: hash, result: sealedUpTo(mostPayload), sig: base64url(64) });

/** The calls of the enclave process: everything that enters is sealed to its key or public. */
export const enclaveCalls = {
  keys: { args: z.strictObject({}), result: enclaveKeys },
  payload: {
    args: z.strictObject({ site: id, use: useBody, ...sealedUpTo(mostPayload + 32).shape }),
    result: z.null(),
  },
  create: {
    args: z.strictObject({ fields: requestFields, plan, joins: z.array(join).max(255) }),
    result: result.extend({ deal }),
  },
  operate: {
    args: z.strictObject({
      fields: requestFields,
      record: keyRecord,
      shards: z.array(z.strictObject({ box: id, ...sealedUpTo(32).shape })).max(255),
    }),
    result: result.extend({ offPolynomial: z.array(id).max(255) }),
  },
} as const;
export type EnclaveCalls = typeof enclaveCalls;
export type PayloadArgs = Args<EnclaveCalls, "payload">;
export type CreateArgs = Args<EnclaveCalls, "create">;
export type CreateResult = Result<EnclaveCalls, "create">;
export type OperateArgs = Args<EnclaveCalls, "operate">;
export type OperateResult = Result<EnclaveCalls, "operate">;
export type SealedShard = OperateArgs["shards"][number];

/**
 * A process, or in a simulation an object, for one operation: `payload`, then `create` or `operate`, then
 * `end`. A call that is refused changes nothing and may be made again; after one that succeeded, or that
 * failed once the key was there, all others are refused by ENCLAVE_SPENT.
 */
export interface Enclave {
  readonly keys: EnclaveKeys;
  /** undefined where it is no process of its own. */
  readonly pid: number | undefined;
  /**
   * Takes the client's payload: salt(32) ‖ payload, sealed to `keys.seal`. Before anyone is prompted.
   * Throws PAYLOAD_MISMATCH, PAYLOAD_TAKEN, PAYLOAD_TOO_LONG, SEAL_INVALID.
   */
  payload(args: PayloadArgs): Promise<void>;
  /** Makes a key and deals it. Throws JOINS_INCOMPLETE, WRONG_PLAN and what binds every call: WRONG_REQUEST, WRONG_ENCLAVE, PAYLOAD_MISSING. */
  create(args: CreateArgs): Promise<CreateResult>;
  /**
   * Combines exactly the threshold of `shards`, checks the key and does the request's operation. After
   * KEY_CHECK_FAILED call it again with *all* shards, the old and more: nothing is kept between calls.
   * `offPolynomial` names the boxes whose shard is in the record and yet not of this key.
   */
  operate(args: OperateArgs): Promise<OperateResult>;
  /** Ends it, whatever it was doing. */
  end(): Promise<void>;
}
