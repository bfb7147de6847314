import { createPrivateKey } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { softwareSigner, type Signer } from "../protocol/es256.ts";
import { id, publicKey } from "../protocol/primitives.ts";
import { ConfigError, readYaml } from "../runtime/config.ts";
import { ClientError } from "./errors.ts";

/** What `shardkeep site init` and `shardkeep client add` write as client.yaml. Relative paths are relative to it. */
export const clientConfig = z.strictObject({
  site: id,
  client: id,
  broker: z.string().regex(/^mqtts:\/\/[^/\s]+$/, "mqtts://host:port"),
  coordinator: id.default("coordinator"),
  /** The site authority's public key, base64url of 65 bytes: the one thing that a client is told and believes. */
  authority: publicKey,
  tlsKey: z.string().default("tls.key"),
  certificate: z.string().default("tls.crt"),
  ca: z.string().default("ca.crt"),
  signingKey: z.string().default("signing.key"),
});
export type ClientConfig = z.infer<typeof clientConfig>;

/** A client's identity as its files hold it. */
export interface ClientIdentity {
  readonly config: ClientConfig;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly signer: Signer;
}

function read(path: string, isPrivate: boolean): Buffer {
  try {
    const mode = statSync(path).mode & 0o777;
    if (isPrivate && (mode & 0o077) !== 0) {
      throw new ClientError("KEY_FILE_EXPOSED", `${path} holds a private key and has mode ${mode.toString(8)}`, { remedy: `chmod 600 ${path}, and think about who may have read it` });
    }
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ConfigError("CONFIG_UNREADABLE", `cannot read ${path}`, { cause, remedy: "restore the client's folder, or add a new client: shardkeep client add" });
  }
}

/** TLS material goes to the TLS library as text; the broker's TLS is not in the trust base (design §4). */
function text(path: string, isPrivate: boolean): string {
  return read(path, isPrivate).toString("utf8");
}

function signerOf(path: string): Signer {
  const pem = read(path, true);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new TypeError("not a P-256 key");
    return softwareSigner(key);
  } catch (cause) {
    throw new ConfigError("CONFIG_INVALID", `${path} is no P-256 private key in PEM`, { cause, remedy: "restore the client's folder, or add a new client: shardkeep client add" });
  } finally {
    pem.fill(0);
  }
}

/** Reads a client.yaml and its files. Throws CONFIG_INVALID, CONFIG_UNREADABLE, KEY_FILE_EXPOSED. */
export function readClient(file: string): ClientIdentity {
  const config = readYaml(file, clientConfig);
  const at = (path: string): string => resolve(dirname(file), path);
  return {
    config,
    tls: { key: text(at(config.tlsKey), true), cert: text(at(config.certificate), false), ca: text(at(config.ca), false) },
    signer: signerOf(at(config.signingKey)),
  };
}
