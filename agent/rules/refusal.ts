import { ShardkeepError } from "../runtime/errors.ts";

/** Why a box does not show, count, answer or release. The names are the API's (design §9). */
export type RefusalCode =
  | "NOT_SEALED" | "UNKNOWN_BOX" | "UNKNOWN_CLIENT" | "REQUEST_FORGED" | "WRONG_COORDINATOR" | "WRONG_SITE_RECORD" | "STALE_REQUEST"
  | "STALE_EPOCH" | "NOT_PERMITTED" | "EVIDENCE_INVALID" | "RATE_LIMITED" | "NOT_CHALLENGED" | "WRONG_RECORD"
  | "NOT_A_HOLDER" | "PLAN_REFUSED" | "DEAL_REFUSED" | "CERTIFICATE_INVALID" | "QUARANTINED" | "TAMPERED"
  | "ATTEMPT_OPEN" | "ATTEMPT_OVER" | "ATTEMPT_LOST" | "ATTEMPT_ANSWERED" | "CHECK_MATCHES" | "NOT_PROVED";

export class Refusal extends ShardkeepError<RefusalCode> {}
