import type { Evidence } from "../protocol/evidence.ts";
import { isApproval, isOfRecord, parametersOf, recordTarget, requestDigest, type AnyFields, type Use } from "../protocol/request.ts";
import { refOf, type Rule, type SiteRecord } from "../protocol/site-record.ts";
import { verifyStatement } from "../protocol/statement.ts";
import { decide, ruleFor, type Attestation } from "./policy.ts";
import { Refusal } from "./refusal.ts";

/** What a box knows by itself when it judges a request; nothing of it comes with the request. */
export interface Judge {
  readonly box: string;
  readonly siteRecord: SiteRecord;
  /** Whether this nonce is the box's own and still honoured. */
  readonly honours: (nonce: string) => boolean;
  /** Boot of the coordinator's session that sent the message. */
  readonly coordinatorBoot: string;
  readonly isQuarantined: (box: string) => boolean;
}

/** What evidence is judged by. */
export type EvidenceJudge = Pick<Judge, "siteRecord" | "isQuarantined">;

export interface Judged {
  readonly digest: string;
  readonly rule: Rule;
  /** The person for whom the client acts; undefined for a service. */
  readonly requester: string | undefined;
}

/**
 * Checks everything in a request but its evidence and its key's record (protocol.md §3): a prompt is
 * shown, and a challenge answered, only after this. Throws {@link Refusal}.
 */
export function judgeRequest(fields: AnyFields, judge: Judge): Judged {
  requireRecord(fields, judge.siteRecord);
  const record = judge.siteRecord.body;
  if (fields.coordinator.id !== record.coordinator.id || fields.coordinator.boot !== judge.coordinatorBoot) {
    throw new Refusal("WRONG_COORDINATOR", "the request names another coordinator or another of its sessions", { retryable: true });
  }
  const own = fields.nonces.filter(({ box }) => box === judge.box);
  if (own.length !== 1 || own[0] === undefined || !judge.honours(own[0].nonce)) {
    throw new Refusal("STALE_REQUEST", `the request carries no recent nonce of ${judge.box}`, { retryable: true });
  }
  return judgeAsked(fields, judge.siteRecord);
}

/** That a request is of this version of the site record. Throws {@link Refusal}. */
export function requireRecord(fields: AnyFields, siteRecord: SiteRecord): void {
  const { version, hash } = refOf(siteRecord);
  if (!siteRecord.body.sealed) throw new Refusal("NOT_SEALED", "the site record is not sealed", { remedy: "shardkeep site seal" });
  if (fields.siteRecord.version !== version || fields.siteRecord.hash !== hash) {
    throw new Refusal("WRONG_SITE_RECORD", `the request names version ${fields.siteRecord.version} of the site record, here is ${version}`, { retryable: true });
  }
}

/** Parameters stand there exactly with their operation. Throws REQUEST_FORGED. */
export function requireFitting({ body }: Use): void {
  for (const name of ["create", "reshard", "recover"] as const) {
    if ((body.operation === name) !== (body[name] !== undefined)) throw new Refusal("REQUEST_FORGED", `${parametersOf[name]} parameters and operation do not fit`);
  }
}

/** What stays true of a request when its time is over: who asked, and the rule that governs. Throws {@link Refusal}. */
export function judgeAsked(fields: AnyFields, siteRecord: SiteRecord): Judged {
  const record = siteRecord.body;
  const { use } = fields;
  const { key, operation, resource } = use.body;
  const client = record.clients.find((known) => known.id === use.by);
  if (client === undefined) throw new Refusal("UNKNOWN_CLIENT", `${use.by} is no client of this site`);
  if (!verifyStatement(use, siteRecord.site, client.key)) throw new Refusal("REQUEST_FORGED", `the request is not signed by ${use.by}`);
  requireFitting(use);
  if (isApproval(operation) === ("enclave" in fields)) throw new Refusal("REQUEST_FORGED", "an enclave takes part exactly where something is combined or dealt by it");
  // Else the requester would choose by the resource which rule governs the record.
  if (isOfRecord(operation) && (key !== recordTarget.key || resource !== recordTarget.resource)) throw new Refusal("REQUEST_FORGED", "the site record is no key and has no resource but itself");
  const rule = ruleFor(record, key, operation, resource);
  if (rule === undefined) {
    throw new Refusal("NOT_PERMITTED", `no rule lets ${use.by} ${operation} ${resource} with key ${key}`, { remedy: "`shardkeep site show` lists the rules" });
  }
  return { digest: requestDigest(fields), rule, requester: client.person };
}

/** Checks one piece of evidence for one digest; the person's finger must be in the record at that very box. */
export function judgeEvidence(evidence: Evidence, digest: string, rule: Rule, judge: EvidenceJudge): Attestation {
  const record = judge.siteRecord.body;
  const { by, body } = evidence;
  const box = record.boxes.find((known) => known.id === by);
  if (box === undefined) throw new Refusal("EVIDENCE_INVALID", `evidence of ${by}, which is no box of this site`);
  if (judge.isQuarantined(by)) throw new Refusal("QUARANTINED", `evidence of ${by}, which is in quarantine`);
  if (!verifyStatement(evidence, judge.siteRecord.site, box.key)) throw new Refusal("EVIDENCE_INVALID", `evidence that ${by} did not sign`);
  if (body.digest !== digest) throw new Refusal("EVIDENCE_INVALID", `evidence of ${by} for another request`);
  const finger = record.people.find((person) => person.id === body.person)?.fingers
    .find((known) => known.box === by && known.name === body.finger);
  if (finger?.template !== body.template) throw new Refusal("EVIDENCE_INVALID", `evidence of ${by} for a finger that is not in the site record`);
  if (rule.confirm !== "none" && (body.confirm !== rule.confirm || body.display === "none")) {
    throw new Refusal("NOT_PERMITTED", `the rule asks for confirmation by ${rule.confirm}, ${by} had display ${body.display} and confirmation ${body.confirm}`);
  }
  return { box: by, person: body.person };
}

/** The whole verdict of a holder: request, evidence and policy. Throws {@link Refusal}; returns what it judged. */
export function judgeUse(fields: AnyFields, evidence: readonly Evidence[], judge: Judge): Judged {
  const judged = judgeRequest(fields, judge);
  requireAttested(judged, evidence, judge);
  return judged;
}

/** All evidence is good and satisfies the rule. Throws {@link Refusal}. */
export function requireAttested(judged: Judged, evidence: readonly Evidence[], judge: EvidenceJudge): void {
  const attestations = evidence.map((one) => judgeEvidence(one, judged.digest, judged.rule, judge));
  const decision = decide(judge.siteRecord.body, judged.rule, judged.requester, attestations);
  if (!decision.allowed) throw new Refusal("NOT_PERMITTED", `the evidence does not satisfy the rule: still wanted ${decision.still}`);
}
