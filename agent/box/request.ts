import { existsSync, readFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { dirname } from "node:path";
import { z } from "zod";
import type { FoundingHsm, Hsm } from "../hsm/client.ts";
import { createTlsKeys } from "../mqtt/tls.ts";
import { tlsPaths } from "../mqtt/tls-files.ts";
import type { BoxRequest } from "../protocol/joining.ts";
import { publicKey } from "../protocol/primitives.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { hasCode } from "../runtime/errors.ts";
import type { Ownership } from "../runtime/provision.ts";
import { inStep, type Say } from "../runtime/steps.ts";
import { getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";
import type { BoxConfig } from "./config.ts";
import { signAs } from "./sign.ts";

/** The seal generation that a box begins with (protocol.md §6). */
const firstGeneration = 1;
/** The public half of the seal key: an HSM lists its generations, the request needs the point. */
const sealKey = z.strictObject({ generation: z.literal(firstGeneration), key: publicKey });

export async function identityKey(hsm: Pick<Hsm, "publicKey">): Promise<string | undefined> {
  try {
    return toBase64url(await hsm.publicKey("identity"));
  } catch (error) {
    if (hasCode(error, "KEY_MISSING")) return undefined;
    throw error;
  }
}

async function ensureIdentity(hsm: FoundingHsm, ownership: Ownership, say: Say): Promise<string> {
  const known = await identityKey(hsm);
  if (known === undefined) ownership.requireUnfinished("the identity key");
  const key = known ?? toBase64url(await hsm.createKey("identity"));
  say("identity key", known === undefined ? "changed" : "ok");
  return key;
}

/** Seal key and vault are known to the store together or not at all; a seal key without a vault has sealed nothing. */
async function ensureVault(hsm: FoundingHsm, store: Store, ownership: Ownership, say: Say): Promise<z.infer<typeof sealKey>> {
  const known = getJson(store, "seal-key", sealKey);
  if (known !== undefined) {
    say("vault", "ok");
    return known;
  }
  ownership.requireUnfinished("the vault");
  await hsm.destroySealKey({ generation: firstGeneration });
  const made = { generation: firstGeneration, key: toBase64url(await hsm.createSealKey({ generation: firstGeneration })) } as const;
  const { enc, ct } = await hsm.createVault({ generation: firstGeneration });
  await store.commit([
    putJson("seal-key", made),
    putJson("vault", { generation: firstGeneration, enc: toBase64url(enc), ct: toBase64url(ct) }),
  ]);
  say("vault", "changed");
  return made;
}

/** The PEM of the TLS key's public half. */
async function ensureTlsKey({ state, box }: BoxConfig, say: Say): Promise<string> {
  const { key } = tlsPaths(state, box);
  const known = existsSync(key);
  if (!known) {
    makeFolder(dirname(key));
    writeDurably(key, (await createTlsKeys()).privateKey);
  }
  say("tls key", known ? "ok" : "changed");
  return createPublicKey(readFileSync(key)).export({ format: "pem", type: "spki" }).toString();
}

/** What the box tells the site: only public things, signed by the new identity key (design §6). */
export async function makeRequest(config: BoxConfig, hsm: FoundingHsm, store: Store, ownership: Ownership, say: Say): Promise<BoxRequest> {
  const { site, box, zone } = config;
  const key = await inStep(say, "identity key", () => ensureIdentity(hsm, ownership, say));
  const seal = await inStep(say, "vault", () => ensureVault(hsm, store, ownership, say));
  const tlsKey = await inStep(say, "tls key", () => ensureTlsKey(config, say));
  return await signAs({ hsm, site, box }, "box-request", { zone, key, sealKey: seal, tlsKey });
}
