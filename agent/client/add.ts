import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { createTlsKeys } from "../mqtt/tls.ts";
import { pointOf } from "../protocol/es256.ts";
import type { SiteRecordBody } from "../protocol/site-record.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { ensureKeyFile } from "../runtime/key-file.ts";
import type { Client } from "./client.ts";
import { ClientError } from "./errors.ts";

export interface NewClient {
  readonly id: string;
  /** For whom it asks; undefined for a service. */
  readonly person: string | undefined;
  /** Where its keys are made; they never leave it. */
  readonly folder: string;
}

/** A client as the site record names it. */
export type ClientEntry = SiteRecordBody["clients"][number];

/**
 * Makes a client's folder and, through an administrator, its entry in the site record; gives the path of its
 * client.yaml, which is written last: cut off in the middle, the same call goes on. On a sealed site `enter` brings the
 * entry into the record first, by people's fingers. Throws CLIENT_EXISTS.
 */
export async function addClient(
  admin: Pick<Client, "request" | "config">, { id, person, folder }: NewClient, enter: (entry: ClientEntry) => Promise<unknown> = () => Promise.resolve(),
): Promise<string> {
  const { site, broker, coordinator, authority } = admin.config;
  const at = (name: string): string => join(folder, name);
  const file = at("client.yaml");
  if (existsSync(file)) throw new ClientError("CLIENT_EXISTS", `${file} is already there`, { remedy: "use it, or name another folder" });
  makeFolder(folder);
  const key = pointOf(ensureKeyFile(at("signing.key")));
  if (!existsSync(at("tls.key"))) writeDurably(at("tls.key"), (await createTlsKeys()).privateKey);
  const tlsKey = createPublicKey(readFileSync(at("tls.key"))).export({ format: "pem", type: "spki" }).toString();
  const entry = { id, key, admin: false, ...(person === undefined ? {} : { person }) };
  await enter(entry);
  const { certificate, ca } = await admin.request("client-approve", { ...entry, tlsKey });
  writeDurably(at("tls.crt"), certificate);
  writeDurably(at("ca.crt"), ca);
  writeDurably(file, stringify({ site, client: id, broker, coordinator, authority }));
  return file;
}
