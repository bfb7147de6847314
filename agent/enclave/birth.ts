import { createHash } from "node:crypto";
import { encryptUnder, keyCheckValue } from "../protocol/ciphertext.ts";
import type { Signer } from "../protocol/es256.ts";
import { pieceContext, sharePrefix, type Deal, type Join, type Plan } from "../protocol/key-record.ts";
import type { RequestFields } from "../protocol/request.ts";
import { enclaveName } from "../protocol/result.ts";
import { requirePoint } from "../protocol/seal.ts";
import { sealToText } from "../protocol/sealed.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import { bytesOf, concat, toBase64url } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";
import { wipe } from "../runtime/secrets.ts";
import { splitSecret } from "../sharding/shamir.ts";
import { EnclaveError } from "./errors.ts";

/** What a new key's ciphertexts and check value are named by; `key rotate` makes the next. */
const firstVersion = 1;

/** The plan is the one that the digest names and that the people approved. */
function requirePlan({ use, record, epoch, attempt }: RequestFields, plan: Plan): void {
  const { body } = plan;
  const { create } = use.body;
  if (create === undefined || use.body.operation !== "create") throw new EnclaveError("WRONG_OPERATION", "the request makes no key");
  const approved = plan.site === use.site && record === statementHash(plan) && epoch === body.epoch && attempt === body.attempt
    && body.request === use.body.request && body.key === use.body.key && body.threshold === create.threshold
    && body.holders.length === create.holders.length && body.holders.every(({ box }, i) => box === create.holders[i]);
  if (!approved) throw new EnclaveError("WRONG_PLAN", `the plan for ${body.key} is not the one that the request names`);
  if (new Set(create.holders).size !== create.holders.length) throw new EnclaveError("WRONG_PLAN", "a holder stands twice in the plan");
}

/** One JOIN of every holder, in the plan's order. Who signed them is for boxes and coordinator to check. */
function requireJoins(plan: Plan, joins: readonly Join[]): void {
  const planHash = statementHash(plan);
  const { holders } = plan.body;
  const complete = joins.length === holders.length
    && holders.every(({ box }, i) => joins[i]?.by === box && joins[i].site === plan.site && joins[i].body.plan === planHash);
  if (!complete) throw new EnclaveError("JOINS_INCOMPLETE", `not exactly one JOIN of every holder of ${plan.body.key} for this plan`);
  for (const { by, body } of joins) requirePoint(bytesOf(body.key), `the receiving key of ${by}`);
}

/**
 * The birth of a key (protocol.md §5): 32 random bytes, split as the plan says, with a 16-byte mask split
 * likewise for CHECK; each holder's piece (share 32 ‖ mask share 16) sealed to its JOIN key. `imported` is
 * wrapped under the new key. Throws WRONG_OPERATION, WRONG_PLAN, JOINS_INCOMPLETE, SHARE_*, SEAL_INVALID.
 */
export async function dealKey(fields: RequestFields, plan: Plan, joins: readonly Join[], imported: Uint8Array | null, signer: Signer, random: Random): Promise<Deal> {
  requirePlan(fields, plan);
  requireJoins(plan, joins);
  const { site, body: { key, threshold, epoch, attempt, holders } } = plan;
  const planHash = statementHash(plan);
  const xs = holders.map(({ x }) => x);
  const master = random.bytes(32);
  const mask = random.bytes(16);
  const secrets: Uint8Array[] = [master, mask];
  try {
    const shares = await splitSecret(master, threshold, xs);
    secrets.push(...shares);
    const maskShares = await splitSecret(mask, threshold, xs);
    secrets.push(...maskShares);
    const pieces: Deal["body"]["pieces"] = [];
    const digests: Deal["body"]["digests"] = [];
    for (const [i, { body: joined, by: box }] of joins.entries()) {
      const [share, maskShare, x] = [shares[i], maskShares[i], xs[i]];
      if (share === undefined || maskShare === undefined || x === undefined) continue; // all are of one length
      const piece = concat(share, maskShare);
      secrets.push(piece);
      const context = pieceContext(site, planHash, enclaveName, box, key);
      pieces.push({ box, piece: sealToText(joined.key, context, context, piece) });
      const digest = createHash("sha256").update(sharePrefix(site, { key, epoch, attempt, box, x })).update(share).digest();
      digests.push({ box, x, digest: toBase64url(digest) });
    }
    const name = { site, key, version: firstVersion, use: "wrap", resource: fields.use.body.resource } as const;
    return await signStatement(signer, "deal", site, enclaveName, {
      plan: planHash, pieces, digests, check: keyCheckValue(master, site, key, firstVersion),
      imported: imported === null ? null : toBase64url(encryptUnder(master, name, imported, random)),
    });
  } finally {
    wipe(...secrets);
  }
}
