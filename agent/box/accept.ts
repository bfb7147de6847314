import { createHash, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { FoundingHsm } from "../hsm/client.ts";
import { isCertified, tlsPaths } from "../mqtt/tls-files.ts";
import { boxAnswer, challengeSecretContext, type BoxAnswer } from "../protocol/joining.ts";
import { hash, id, publicKey } from "../protocol/primitives.ts";
import { siteRecord } from "../protocol/site-record.ts";
import { statementHash, verifyStatement } from "../protocol/statement.ts";
import { writeDurably } from "../runtime/durable.ts";
import { bytesOf } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { fingerprintOf, isMeant } from "../runtime/fingerprint.ts";
import { inStep, type Say } from "../runtime/steps.ts";
import { getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";
import type { BoxConfig } from "./config.ts";
import { identityKey } from "./request.ts";

export class AcceptError extends ShardkeepError<"NOT_REQUESTED" | "ANSWER_INVALID" | "ANSWER_FOREIGN" | "AUTHORITY_WRONG"> {}

/** What the box keeps of its joining. */
const joined = z.strictObject({ site: id, box: id, authority: publicKey, answer: hash });

function invalid(what: string, cause?: unknown): AcceptError {
  return new AcceptError("ANSWER_INVALID", `this is no answer for this box: ${what}`, { cause, remedy: "copy the file again, or approve the box's request once more: shardkeep site approve REQUEST --out ANSWER" });
}

export function parseAnswer(text: string): BoxAnswer {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw invalid("it is not JSON, or half of it", cause);
  }
  const parsed = boxAnswer.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the whole file"}: ${message}`).join("; "), parsed.error);
  return parsed.data;
}

/** Whether it is for this box at all, before anything of the box is opened. Throws ANSWER_FOREIGN. */
export function requireAddressee({ site, box }: BoxConfig, answer: BoxAnswer): void {
  const { record } = answer.body;
  if (answer.site !== site || record.site !== site) throw new AcceptError("ANSWER_FOREIGN", `the answer is of site ${answer.site}, this box is for ${site}`, { remedy: "take the right file, or mend `site` in the configuration" });
  if (answer.body.box !== box) throw new AcceptError("ANSWER_FOREIGN", `the answer is for ${answer.body.box}, this is ${box}`, { remedy: "take the right file: is it the right stick?" });
}

/** Everything that can be known without the HSM's secrets. `expected` is the authority's key or its fingerprint. */
function check(config: BoxConfig, answer: BoxAnswer, identity: string, known: string | undefined, expected: string | undefined): void {
  const { site, box } = config;
  const { record } = answer.body;
  requireAddressee(config, answer);
  const { authority, boxes } = record.body;
  if (known !== undefined && known !== authority) throw new AcceptError("AUTHORITY_WRONG", `this box belongs to another authority of ${site}`, { remedy: "a box joins one site only; begin with an empty state folder and token" });
  if (expected !== undefined && !isMeant(authority, expected)) {
    throw new AcceptError("AUTHORITY_WRONG", `the answer is signed by ${fingerprintOf(authority)}, not by the authority that was named`, { remedy: "compare with `shardkeep site show` at the coordinator; if that says the same, somebody exchanged the file" });
  }
  if (!verifyStatement(answer, site, authority) || !verifyStatement(record, site, authority)) throw invalid("its signature is not the authority's");
  if (boxes.find((one) => one.id === box)?.key !== identity) throw invalid("the site record does not name this box with its identity key");
}

function checkCertificate({ state, box }: BoxConfig, { certificate, ca, record }: BoxAnswer["body"]): void {
  let own: X509Certificate;
  let authority: X509Certificate;
  try {
    own = new X509Certificate(certificate);
    authority = new X509Certificate(ca);
  } catch (cause) {
    throw invalid("a certificate in it cannot be read", cause);
  }
  if (createHash("sha256").update(authority.raw).digest("base64url") !== record.body.tlsAuthority) throw invalid("its TLS authority is not the one in the site record");
  if (!isCertified(own, authority, box, tlsPaths(state, box).key)) throw invalid("the certificate is not for this box's TLS key");
}

/**
 * Takes the site's answer: challenge secret into the HSM, TLS files, site record. Checked whole before anything
 * changes; the same answer again changes nothing, another one of the same authority replaces the secret.
 */
export async function acceptAnswer(config: BoxConfig, hsm: FoundingHsm, store: Store, answer: BoxAnswer, expected: string | undefined, say: Say): Promise<void> {
  const { site, box, state } = config;
  const { record, challengeSecret, generation, certificate, ca } = answer.body;
  const { authority } = record.body;
  const known = await inStep(say, "authority", async () => {
    const identity = await identityKey(hsm);
    if (identity === undefined || store.get("vault") === undefined) throw new AcceptError("NOT_REQUESTED", "this box has not asked to join yet", { remedy: "shardkeep box request --config FILE --out REQUEST" });
    const before = getJson(store, "box", joined);
    check(config, answer, identity, before?.authority, expected);
    checkCertificate(config, answer.body);
    return before;
  });
  say("authority", "ok", { fingerprint: fingerprintOf(authority), trust: expected !== undefined ? "compared" : known !== undefined ? "known" : "first use" });

  const name = statementHash(answer);
  if (known?.answer === name) {
    say("box", "ok", { box });
    return;
  }
  await inStep(say, "challenge secret", async () => {
    // Not in the store, so it counts for nothing: what is there is of an earlier answer or of a run that was cut off.
    await hsm.removeChallengeSecret({ box });
    await hsm.acceptChallengeSecret({ box, generation, info: challengeSecretContext(site, box), enc: bytesOf(challengeSecret.enc), ct: bytesOf(challengeSecret.ct) });
  });
  say("challenge secret", "changed");
  await inStep(say, "tls", () => {
    const paths = tlsPaths(state, box);
    writeDurably(paths.ca, ca);
    writeDurably(paths.certificate, certificate);
  });
  say("tls", "changed");
  // A box that is in service follows the record's chain by itself; an answer never sets it back.
  const followed = getJson(store, "site-record", siteRecord);
  await inStep(say, "box", () => store.commit([
    putJson("box", { site, box, authority, answer: name }),
    ...(followed === undefined ? [putJson("site-record", record)] : []),
  ]));
  say("box", "changed", { box, version: (followed ?? record).body.version });
}
