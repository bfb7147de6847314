import { createPrivateKey, type X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ShardkeepError } from "../runtime/errors.ts";
import type { TlsFiles } from "./connection.ts";

export class TlsFilesError extends ShardkeepError<"TLS_FILES_MISSING"> {}

/** Where `site init`, `box request` and `box accept` put TLS material in a state folder; keys have mode 0600. */
export function tlsPaths(state: string, name: string): { readonly ca: string; readonly caKey: string; readonly certificate: string; readonly key: string } {
  const at = (file: string): string => join(state, "tls", file);
  return { ca: at("ca.pem"), caKey: at("ca.key.pem"), certificate: at(`${name}.pem`), key: at(`${name}.key.pem`) };
}

/** Reads the TLS material of `name`. */
export function readTls(state: string, name: string): TlsFiles {
  const { ca, certificate, key } = tlsPaths(state, name);
  try {
    return { ca: readFileSync(ca, "utf8"), cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
  } catch (cause) {
    throw new TlsFilesError("TLS_FILES_MISSING", `no TLS certificate of ${name} under ${state}`, {
      cause, remedy: "a box joins by `shardkeep box request`, `site approve`, `box accept`; a coordinator by `shardkeep site init`",
    });
  }
}

/** Whether `authority` certifies `name` with the private key in `keyFile`, PEM. Throws what node:fs and node:crypto throw. */
export function isCertified(own: X509Certificate, authority: X509Certificate, name: string, keyFile: string): boolean {
  return own.verify(authority.publicKey) && own.subject === `CN=${name}` && own.checkPrivateKey(createPrivateKey(readFileSync(keyFile)));
}
