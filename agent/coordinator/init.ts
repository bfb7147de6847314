import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hsmFolders, signerOf, tokenFor, type FoundingHsm, type OwnedHsm } from "../hsm/client.ts";
import { certificateDigest } from "../mqtt/tls.ts";
import { tlsPaths } from "../mqtt/tls-files.ts";
import { siteRecord, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { signStatement } from "../protocol/statement.ts";
import { recordProblems } from "../rules/record.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { systemClock } from "../runtime/clock.ts";
import { hasCode, ShardkeepError } from "../runtime/errors.ts";
import { isDryRun, runMain } from "../runtime/main.ts";
import { Ownership, ownStore, ownToken, type Token } from "../runtime/provision.ts";
import { onStage } from "../runtime/rehearsal.ts";
import { inStep, sayJson, type Say } from "../runtime/steps.ts";
import { sayUnsetClock } from "../runtime/unset-clock.ts";
import { getJson, putJson } from "../store/json.ts";
import { createStore, openStore } from "../store/level.ts";
import { readCoordinatorConfig, type CoordinatorConfig } from "./config.ts";
import { ensureFirstClient, firstClient } from "./first-client.ts";
import { ensureTls } from "./tls-authority.ts";

/**
 * `shardkeep site init`: token, identity and authority keys, TLS authority, first administrator, and as the last
 * step version 1 of the site record. Run again it makes what is missing; once the record is there, nothing.
 */
async function initialiseSite(config: CoordinatorConfig, token: Token<OwnedHsm>, say: Say): Promise<void> {
  const { site, coordinator, state } = config;
  const ownership = await inStep(say, "state", () => new Ownership(state, { site, name: coordinator }));
  const hsm = await ownToken(ownership, token, say);
  try {
    const store = await ownStore(ownership, storeAt(join(state, "store")), say);
    try {
      const known = getJson(store, "site-record", siteRecord);
      const made = known ?? await firstRecord(config, ownership, hsm, say);
      const record = await inStep(say, "site-record", async () => {
        if (known === undefined) await store.commit([putJson("site-record", made)]);
        await requireOwnKeys(hsm, made);
        return made;
      });
      say("site-record", known === undefined ? "changed" : "ok", { version: record.body.version, sealed: record.body.sealed });
      if (!ownership.complete) ownership.finish();
      say("site", "ok", { site, authority: record.body.authority, client: join(state, "clients", firstClient, "client.yaml") });
    } finally {
      await store.close();
    }
  } finally {
    await hsm.stop();
  }
}

const storeAt = (path: string) => ({ open: () => openStore(path), create: () => createStore(path), missing: "STORE_MISSING" });

async function existing(hsm: FoundingHsm, role: "identity" | "authority"): Promise<string | undefined> {
  try {
    return toBase64url(await hsm.publicKey(role));
  } catch (error) {
    if (hasCode(error, "KEY_MISSING")) return undefined;
    throw error;
  }
}

/** Only before the first record: later a key that is not found was lost, and a new one would be another site. */
async function ensureKey(hsm: FoundingHsm, role: "identity" | "authority", say: Say): Promise<string> {
  const known = await existing(hsm, role);
  const key = known ?? toBase64url(await hsm.createKey(role));
  say(`${role} key`, known === undefined ? "changed" : "ok");
  return key;
}

async function firstRecord(config: CoordinatorConfig, ownership: Ownership, hsm: FoundingHsm, say: Say): Promise<SiteRecord> {
  const { site, coordinator, state } = config;
  const key = await inStep(say, "identity key", () => {
    ownership.requireUnfinished("the site record");
    return ensureKey(hsm, "identity", say);
  });
  const authority = await inStep(say, "authority key", () => ensureKey(hsm, "authority", say));
  const isTlsNew = await inStep(say, "tls", () => ensureTls(config));
  say("tls", isTlsNew ? "changed" : "ok");
  const admin = await inStep(say, "client", () => ensureFirstClient(config, authority));
  say("client", admin.isNew ? "changed" : "ok", { client: admin.file });
  const body: SiteRecordBody = {
    version: 1, previous: null, sealed: false, authority,
    tlsAuthority: toBase64url(certificateDigest(readFileSync(tlsPaths(state, coordinator).ca, "utf8"))),
    coordinator: { id: coordinator, key }, boxes: [], people: [],
    clients: [{ id: firstClient, key: admin.key, admin: true }], roles: [], rules: [],
  };
  const problems = recordProblems(body);
  if (problems.length > 0) throw new ShardkeepError("CONFIG_INVALID", problems.join("; "), { remedy: "give the coordinator another name" });
  return await signStatement(signerOf(hsm, "authority"), "site-record", site, coordinator, body);
}

/** A store of one site beside the token of another would sign with keys that nobody knows. */
async function requireOwnKeys(hsm: FoundingHsm, { body }: SiteRecord): Promise<void> {
  const [identity, authority] = [await existing(hsm, "identity"), await existing(hsm, "authority")];
  if (identity !== body.coordinator.key || authority !== body.authority) {
    throw new ShardkeepError("KEYS_FOREIGN", "the keys in the token are not those in the site record", { remedy: "restore token and state folder from the same backup" });
  }
}

await runMain("site init", async (args) => {
  const config = await inStep(sayJson, "configuration", () => readCoordinatorConfig(args));
  sayUnsetClock(sayJson, systemClock);
  const { hsm, state } = config;
  const hasKeys = async (one: FoundingHsm): Promise<boolean> => await existing(one, "identity") !== undefined;
  await onStage(isDryRun(args), state, hsmFolders(hsm), sayJson, (on) => initialiseSite({ ...config, state: on.state }, tokenFor(hsm, on.scratch, hasKeys), on.say));
});
