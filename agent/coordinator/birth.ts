import type { Enclave } from "../enclave/client.ts";
import { signerOf } from "../hsm/client.ts";
import type { Evidence } from "../protocol/evidence.ts";
import { boxRequests, type UsePart } from "../protocol/messages.ts";
import type { CertifiedRecord, Plan } from "../protocol/key-record.ts";
import type { KeyParameters, RequestFields } from "../protocol/request.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import { isByBox, isCertified, judgeDeal, recordOfBirth } from "../rules/birth.ts";
import { forbiddenZone } from "../rules/zones.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { KeyShelf } from "./key-shelf.ts";
import type { UseResult } from "./operation.ts";
import type { CoordinatorParts } from "./parts.ts";

export class BirthError extends ShardkeepError<"BIRTH_FAILED" | "KEY_EXISTS" | "ZONE_HOLDS_THRESHOLD"> {}

const stepMs = 15_000;

/** PLAN for a new key: x = 1 … n in the order that the requester signed (protocol.md §5). */
export async function planBirth(parts: CoordinatorParts, keys: KeyShelf, request: string, key: string, create: KeyParameters): Promise<Plan> {
  if (keys.get(key) !== undefined) throw new BirthError("KEY_EXISTS", `there is a key ${key} already`, { remedy: "choose another name; a key is never made twice" });
  const { config, hsm, site } = parts;
  const zone = forbiddenZone(site.current.body, create.holders, create.threshold);
  if (zone !== undefined) {
    throw new BirthError("ZONE_HOLDS_THRESHOLD", `zone ${zone} would hold ${create.threshold} shards of ${key}, which are the key`, { remedy: "take holders of other zones, or a higher threshold; `shardkeep site show` names each box's zone" });
  }
  return await signStatement(signerOf(hsm, "identity"), "plan", config.site, config.coordinator, {
    request, key, kind: create.kind, epoch: 1, attempt: await keys.nextAttempt(key), threshold: create.threshold,
    holders: create.holders.map((box, i) => ({ box, x: i + 1 })), previous: null,
  });
}

/** Asks every holder the same thing at once; all must answer, in the plan's order. */
function askAll<T>(plan: Plan, ask: (box: string) => Promise<T>): Promise<T[]> {
  return Promise.all(plan.body.holders.map(({ box }) => ask(box)));
}

/**
 * Drives the birth of a key: JOIN, DEAL, SEALED, CHECK, PREPARED, then the certificate is kept and shown.
 * Until the certificate nothing that any box holds is a key; from then on the birth ends forward.
 */
export async function giveBirth(
  parts: CoordinatorParts, keys: KeyShelf, plan: Plan, fields: RequestFields, evidence: readonly Evidence[], enclave: Enclave, onPart: (part: UsePart) => void,
): Promise<UseResult> {
  const { exchange, site, log } = parts;
  const record = site.current;
  const options = { deadlineMs: stepMs };
  const joins = (await askAll(plan, (box) => exchange.request(boxRequests, "birth-join", box, { plan }, options))).map(({ join }) => join);
  for (const join of joins) if (join.body.plan !== statementHash(plan) || !isByBox(join, record)) throw new BirthError("BIRTH_FAILED", `${join.by} did not join this plan`);

  const made = await enclave.create({ fields, plan, joins });
  const transcript = judgeDeal(plan, joins, made.deal, enclave.keys.sign, record);
  onPart({ state: "birth", step: "dealt" });
  const dealing = { fields, evidence: [...evidence], plan, joins, deal: made.deal };
  const sealed = (await askAll(plan, (box) => exchange.request(boxRequests, "birth-deal", box, dealing, options))).map((answer) => answer.sealed);
  onPart({ state: "birth", step: "sealed" });
  const checks = (await askAll(plan, (box) => exchange.request(boxRequests, "birth-check", box, { transcript, sealed }, options))).map((answer) => answer.check);
  onPart({ state: "birth", step: "checked" });
  const prepared = (await askAll(plan, (box) => exchange.request(boxRequests, "birth-prepare", box, { transcript, checks }, options))).map((answer) => answer.prepared);
  const certified: CertifiedRecord = { record: recordOfBirth(plan, made.deal), prepared };
  if (!isCertified(certified.record, prepared, record)) throw new BirthError("BIRTH_FAILED", "not every holder prepared the same record");
  onPart({ state: "birth", step: "prepared" });

  await keys.keep(certified);
  await askAll(plan, async (box) => {
    try {
      await exchange.request(boxRequests, "activate", box, certified, options);
    } catch (error) {
      // It has prepared: its next heartbeat shows that, and it is shown the certificate again.
      log.warn("not activated", { box, key: plan.body.key, error: String(error) });
    }
  });
  onPart({ state: "birth", step: "activated" });
  return { enclave: enclave.keys, digest: made.digest, result: made.result, sig: made.sig };
}
