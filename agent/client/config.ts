import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { softwareSigner, type Signer } from "../protocol/es256.ts";
import { id, publicKey } from "../protocol/primitives.ts";
import { ConfigError, readYaml } from "../runtime/config.ts";
import { readKeyFile } from "../runtime/key-file.ts";
import { ClientError } from "./errors.ts";

/** What `shardkeep site init` and `shardkeep client add` write as client.yaml. Relative paths are relative to it. */
export const clientConfig = z.strictObject({
  site: id,
  client: id,
  broker: z.string().regex(/^mqtts:\/\/[^/\s]+$/, "mqtts://host:port"),
  coordinator: id.default("coordinator"),
  /** The site authority's public key, base64url of 65 bytes: the one thing that a client is told and believes. */
  authority: publicKey,
  /** PEM, mode 0600. */
  tlsKey: z.string().default("tls.key"),
  /** PEM. */
  certificate: z.string().default("tls.crt"),
  /** PEM. */
  ca: z.string().default("ca.crt"),
  /** P-256, PKCS#8 DER, mode 0600. */
  signingKey: z.string().default("signing.key"),
});
export type ClientConfig = z.infer<typeof clientConfig>;

/** A client's identity as its files hold it. */
export interface ClientIdentity {
  readonly config: ClientConfig;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly signer: Signer;
}

const restore = "restore the client's folder, or add a new client: shardkeep client add";

function unreadable(path: string, cause: unknown): ConfigError {
  return new ConfigError("CONFIG_UNREADABLE", `cannot read ${path}`, { cause, remedy: restore });
}

/** Refuses a private key that others on this machine can read. */
function requirePrivate(path: string): void {
  let mode: number;
  try {
    mode = statSync(path).mode & 0o777;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if ((mode & 0o077) !== 0) throw new ClientError("KEY_FILE_EXPOSED", `${path} holds a private key and has mode ${mode.toString(8)}`, { remedy: `chmod 600 ${path}, and think about who may have read it` });
}

/** TLS material goes to the TLS library as text; the broker's TLS is not in the trust base (design §4). */
function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function signerOf(path: string): Signer {
  requirePrivate(path);
  try {
    return softwareSigner(readKeyFile(path));
  } catch (cause) {
    throw new ConfigError("CONFIG_INVALID", `${path} is no P-256 private key`, { cause, remedy: restore });
  }
}

/** Reads a client.yaml and its files. Throws CONFIG_INVALID, CONFIG_UNREADABLE, KEY_FILE_EXPOSED. */
export function readClient(file: string): ClientIdentity {
  const config = readYaml(file, clientConfig);
  const at = (path: string): string => resolve(dirname(file), path);
  requirePrivate(at(config.tlsKey));
  return {
    config,
    tls: { key: text(at(config.tlsKey)), cert: text(at(config.certificate)), ca: text(at(config.ca)) },
    signer: signerOf(at(config.signingKey)),
  };
}
