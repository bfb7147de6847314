import { existsSync, readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { createTlsAuthority, createTlsKeys, issueCertificate, type TlsAuthority } from "../mqtt/tls.ts";
import { tlsPaths } from "../mqtt/tls-files.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import type { CoordinatorConfig } from "./config.ts";

/** Name of the broker's certificate; clients check the host, not this. */
export const brokerName = "broker";

/** The software TLS authority that `site init` made. */
export function readAuthority(state: string, coordinator: string): TlsAuthority {
  const paths = tlsPaths(state, coordinator);
  return { certificate: readFileSync(paths.ca, "utf8"), privateKey: readFileSync(paths.caKey, "utf8") };
}

/** Every name under which somebody may reach the broker: it is checked by those who connect. */
function brokerHosts({ broker }: CoordinatorConfig): string[] {
  if ("url" in broker) return [...new Set([broker.url, broker.clients ?? broker.url].map((url) => new URL(url).hostname))];
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []).map(({ address }) => address);
  return [...new Set([broker.listen.host, "localhost", "127.0.0.1", hostname(), ...addresses])];
}

/** A key and a certificate for `name`, unless they are there. The certificate is written last. */
async function ensureCertificate(state: string, authority: TlsAuthority, name: string, hosts: readonly string[]): Promise<boolean> {
  const { key, certificate } = tlsPaths(state, name);
  if (existsSync(certificate)) return false;
  const keys = await createTlsKeys();
  writeDurably(key, keys.privateKey);
  writeDurably(certificate, await issueCertificate(authority, name, keys.publicKey, hosts));
  return true;
}

/** Makes what is missing of: authority, coordinator's and broker's certificates. True if anything was. */
export async function ensureTls(config: CoordinatorConfig): Promise<boolean> {
  const { state, site, coordinator } = config;
  const { ca, caKey } = tlsPaths(state, coordinator);
  makeFolder(dirname(ca));
  const isNew = !existsSync(ca);
  if (isNew) {
    const made = await createTlsAuthority(site);
    writeDurably(caKey, made.privateKey);
    writeDurably(ca, made.certificate);
  }
  const authority = readAuthority(state, coordinator);
  const certified = [
    await ensureCertificate(state, authority, coordinator, []),
    await ensureCertificate(state, authority, brokerName, brokerHosts(config)),
  ];
  return isNew || certified.includes(true);
}
