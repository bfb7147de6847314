import { createHash } from "node:crypto";
import { keyCheckValue } from "../protocol/ciphertext.ts";
import { releaseContext, sharePrefix, type KeyRecord, type ShareName } from "../protocol/key-record.ts";
import type { Recipient } from "../protocol/seal.ts";
import { openText } from "../protocol/sealed.ts";
import { fromBase64url, utf8 } from "../runtime/encoding.ts";
import { equalBytes, wipe } from "../runtime/secrets.ts";
import { choices } from "../sharding/degree.ts";
import { combineShares, type Point } from "../sharding/shamir.ts";
import type { SealedShard } from "./calls.ts";
import { EnclaveError } from "./errors.ts";

interface Shard extends Point {
  readonly box: string;
}

export interface CombinedKey {
  /** 32 bytes of secret memory that the caller wipes. */
  readonly master: Uint8Array;
  readonly offPolynomial: readonly string[];
}

/** More choices than any site meets: the coordinator brings one further shard at a time. */
const mostChoices = 1000;

/** The holder's place in the record; each box once. */
function nameShards(record: KeyRecord, shards: readonly SealedShard[]): (ShareName & { readonly digest: string })[] {
  if (new Set(shards.map(({ box }) => box)).size !== shards.length) throw new EnclaveError("SHARD_DUPLICATE", "two shards came from one box");
  if (shards.length < record.threshold) {
    throw new EnclaveError("NOT_ENOUGH_SHARDS", `${shards.length} shards of ${record.key}, whose threshold is ${record.threshold}`, { retryable: true });
  }
  return shards.map(({ box }) => {
    const held = record.holders.filter((one) => one.box === box);
    const [holder] = held;
    if (holder === undefined) throw new EnclaveError("SHARD_UNEXPECTED", `${box} is no holder in this record of ${record.key}`);
    if (held.length > 1) throw new EnclaveError("SHARD_DUPLICATE", `${box} stands twice in the record of ${record.key}`);
    const { key, epoch, attempt } = record;
    return { key, epoch, attempt, ...holder };
  });
}

/** A shard as the record names it, or a refusal that names the box. Any sender can seal, so this accuses nobody. */
function openShard(recipient: Recipient, digest: string, recordHash: string, site: string, name: ShareName & { readonly digest: string }, sealed: SealedShard): Uint8Array {
  const { box } = name;
  let share: Uint8Array;
  try {
    share = openText(recipient, sealed, releaseContext(site, digest, name, recordHash), new Uint8Array());
  } catch (cause) {
    throw new EnclaveError("SHARD_UNREADABLE", `the shard of ${box} was not sealed to this enclave for this request`, { cause, remedy: `ask ${box} again` });
  }
  const actual = createHash("sha256").update(sharePrefix(site, name)).update(share).digest();
  const expected = fromBase64url(name.digest);
  if (share.length === 32 && expected !== null && equalBytes(actual, expected)) return share;
  wipe(share);
  throw new EnclaveError("SHARD_DIGEST_MISMATCH", `the shard of ${box} is not the one in the record of ${name.key}`, { remedy: `ask another holder; then look at ${box}` });
}

function isKeyOf(record: KeyRecord, master: Uint8Array): boolean {
  return equalBytes(utf8(keyCheckValue(master, record.site, record.key, record.version)), utf8(record.check));
}

/** The first choice of exactly t shards whose key is the record's. */
async function findKey(record: KeyRecord, shards: readonly Shard[]): Promise<{ master: Uint8Array; chosen: readonly Shard[] }> {
  let tried = 0;
  for (const chosen of choices(shards, record.threshold)) {
    const master = await combineShares(chosen, record.threshold);
    if (isKeyOf(record, master)) return { master, chosen };
    wipe(master);
    if (++tried === mostChoices) break;
  }
  throw new EnclaveError("KEY_CHECK_FAILED", `${shards.length} shards of ${record.key} do not give its key`, { retryable: true, remedy: "ask a further holder: one more shard tells which one is wrong" });
}

/**
 * Which of the others are not on the polynomial through `chosen`: put in the place of one chosen shard, an
 * honest one gives the same key. (Both polynomials then agree at the t-1 kept places and at 0: t in all.)
 */
async function strangers(shards: readonly Shard[], chosen: readonly Shard[], master: Uint8Array): Promise<string[]> {
  const off: string[] = [];
  for (const shard of shards.filter((one) => !chosen.includes(one))) {
    const other = await combineShares([...chosen.slice(1), shard], chosen.length);
    if (!equalBytes(other, master)) off.push(shard.box);
    wipe(other);
  }
  return off;
}

/**
 * The master key of `record` from shards sealed for the request `digest`. Each shard is checked against the
 * record before any arithmetic, and the key after it. Throws NOT_ENOUGH_SHARDS, SHARD_*, KEY_CHECK_FAILED.
 */
export async function combineKey(recipient: Recipient, digest: string, record: KeyRecord, recordHash: string, sealed: readonly SealedShard[]): Promise<CombinedKey> {
  const shards: Shard[] = [];
  try {
    for (const [index, name] of nameShards(record, sealed).entries()) {
      const one = sealed[index];
      if (one !== undefined) shards.push({ box: name.box, x: name.x, y: openShard(recipient, digest, recordHash, record.site, name, one) });
    }
    const { master, chosen } = await findKey(record, shards);
    return { master, offPolynomial: await strangers(shards, chosen, master) };
  } finally {
    wipe(...shards.map(({ y }) => y));
  }
}
