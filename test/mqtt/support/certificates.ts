import { createTlsAuthority, createTlsKeys, issueCertificate, type TlsAuthority } from "../../../agent/mqtt/tls.ts";
import type { TlsFiles } from "../../../agent/mqtt/connection.ts";

export interface Certificates {
  readonly authority: TlsAuthority;
  readonly broker: TlsFiles;
  of(name: string): TlsFiles;
}

export async function identity(authority: TlsAuthority, name: string, hosts: readonly string[] = []): Promise<TlsFiles> {
  const keys = await createTlsKeys();
  return { ca: authority.certificate, cert: await issueCertificate(authority, name, keys.publicKey, hosts), key: keys.privateKey };
}

/** A site's authority, a certificate for a broker on this machine, and one for each name. */
export async function certificates(names: readonly string[]): Promise<Certificates> {
  const authority = await createTlsAuthority("test");
  const broker = await identity(authority, "broker", ["127.0.0.1", "localhost"]);
  const known = new Map(await Promise.all(names.map(async (name) => [name, await identity(authority, name)] as const)));
  return {
    authority, broker,
    of: (name) => {
      const files = known.get(name);
      if (files === undefined) throw new Error(`no certificate for ${name}`);
      return files;
    },
  };
}
