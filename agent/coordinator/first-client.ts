import { existsSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { createTlsKeys, issueCertificate } from "../mqtt/tls.ts";
import { pointOf } from "../protocol/es256.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { ensureKeyFile } from "../runtime/key-file.ts";
import type { CoordinatorConfig } from "./config.ts";
import { readAuthority } from "./tls-authority.ts";

/** Who administers a new site: somebody must be there to add the others. */
export const firstClient = "admin";

export interface FirstClient {
  /** Its client.yaml. */
  readonly file: string;
  /** Its identity key, base64url of 65 bytes. */
  readonly key: string;
  readonly isNew: boolean;
}

/** Where a client on this machine reaches the broker. */
function brokerUrl({ broker }: CoordinatorConfig): string {
  if ("url" in broker) return broker.clients ?? broker.url;
  const { host, port } = broker.listen;
  return `mqtts://${host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host}:${port}`;
}

/** The folder of the first administrator, ready to use: state/clients/admin. Its client.yaml is written last. */
export async function ensureFirstClient(config: CoordinatorConfig, authority: string): Promise<FirstClient> {
  const { site, coordinator, state } = config;
  const folder = join(state, "clients", firstClient);
  const at = (name: string): string => join(folder, name);
  const file = at("client.yaml");
  makeFolder(folder);
  const key = pointOf(ensureKeyFile(at("signing.key")));
  if (existsSync(file)) return { file, key, isNew: false };
  const tlsAuthority = readAuthority(state, coordinator);
  const tls = await createTlsKeys();
  writeDurably(at("tls.key"), tls.privateKey);
  writeDurably(at("tls.crt"), await issueCertificate(tlsAuthority, firstClient, tls.publicKey));
  writeDurably(at("ca.crt"), tlsAuthority.certificate);
  writeDurably(file, stringify({ site, client: firstClient, broker: brokerUrl(config), coordinator, authority }));
  return { file, key, isNew: true };
}
