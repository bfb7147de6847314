import { ShardkeepError } from "../runtime/errors.ts";

export type ClientErrorCode =
  | "KEY_FILE_EXPOSED" // a private key that others on this machine can read
  | "RECORD_FORGED" // a site record that the pinned authority did not sign
  | "RECORD_UNKNOWN" // a request bound to another site record than the one that was verified
  | "REQUEST_CHANGED" // the coordinator accepted something else than what was asked
  | "COORDINATOR_CHANGED" // another session of the coordinator than the one that was greeted
  | "ENCLAVE_CHANGED" // the answer comes from another enclave than the one that was announced
  | "NOT_ACCEPTED" // no acceptance, or an answer without one
  | "TIMED_OUT" | "CANCELLED" | "CLIENT_CLOSED" | "CLIENT_EXISTS"
  | "REQUEST_INVALID" | "ANSWER_INVALID" | "ANSWER_FOREIGN" | "NOT_REQUESTED" | "AUTHORITY_WRONG"; // a client's file pair

export class ClientError extends ShardkeepError<ClientErrorCode> {}

/** Of sealed files (docs/file-format.md). */
export class FileError extends ShardkeepError<"FILE_HEADER_INVALID" | "FILE_WRONG_SITE" | "FILE_DAMAGED" | "FILE_UNREADABLE" | "FILE_UNWRITABLE" | "FILE_EXISTS"> {}
