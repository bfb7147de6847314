import { ShardkeepError } from "../runtime/errors.ts";

export type EnclaveCode =
  | "ENCLAVE_BUSY" // one call at a time
  | "ENCLAVE_SPENT" // it has done its one operation, and wiped
  | "JOINS_INCOMPLETE" // not exactly one JOIN of every holder for this plan
  | "KEY_CHECK_FAILED" // no choice of the shards gives the key of this record; accuses nobody
  | "NOT_ENOUGH_SHARDS"
  | "PAYLOAD_MISMATCH" // not what the request committed to
  | "PAYLOAD_MISSING"
  | "PAYLOAD_TAKEN" // a payload is taken once
  | "PAYLOAD_TOO_LONG"
  | "SHARD_DIGEST_MISMATCH" // the named box's shard is not the one in the record
  | "SHARD_DUPLICATE"
  | "SHARD_UNEXPECTED" // from a box that is no holder in the record
  | "SHARD_UNREADABLE" // the named box's shard does not open for this request
  | "WRONG_ENCLAVE" // the request is bound to another enclave's keys
  | "WRONG_OPERATION"
  | "WRONG_PLAN"
  | "WRONG_RECORD"
  | "WRONG_REQUEST"; // not the request that the payload came with

/** Whatever an enclave refuses changes nothing in it. Never carries a secret. */
export class EnclaveError extends ShardkeepError<EnclaveCode> {}
