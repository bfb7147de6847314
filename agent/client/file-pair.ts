import { createPublicKey, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { createTlsKeys } from "../mqtt/tls.ts";
import { isCertified } from "../mqtt/tls-files.ts";
import { pointOf, softwareSigner } from "../protocol/es256.ts";
import { clientAnswer, clientRequest, type ClientAnswer, type ClientRequest } from "../protocol/joining.ts";
import type { SiteRecordBody } from "../protocol/site-record.ts";
import { signStatement, verifyStatement } from "../protocol/statement.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { fingerprintOf, isMeant } from "../runtime/fingerprint.ts";
import { ensureKeyFile, readKeyFile } from "../runtime/key-file.ts";
import type { Client } from "./client.ts";
import { ClientError } from "./errors.ts";

/** A client as the site record names it. */
export type ClientEntry = SiteRecordBody["clients"][number];

const filesOf = (folder: string) => ({ signing: join(folder, "signing.key"), tls: join(folder, "tls.key"), certificate: join(folder, "tls.crt"), ca: join(folder, "ca.crt"), config: join(folder, "client.yaml") });

/** Whether a client's keys are in `folder`, with or without an answer. */
export function hasKeys(folder: string): boolean {
  const { signing, tls } = filesOf(folder);
  return existsSync(signing) && existsSync(tls);
}

/** Makes a client's keys in `folder`, which they never leave, or finds them there; gives what is public of them. Throws CLIENT_EXISTS. */
export async function requestClient(folder: string, site: string, id: string): Promise<ClientRequest> {
  const { signing, tls, config } = filesOf(folder);
  if (existsSync(config)) throw new ClientError("CLIENT_EXISTS", `${config} is already there`, { remedy: "use it, or name another folder" });
  makeFolder(folder);
  const key = pointOf(ensureKeyFile(signing));
  if (!existsSync(tls)) writeDurably(tls, (await createTlsKeys()).privateKey);
  const tlsKey = createPublicKey(readFileSync(tls)).export({ format: "pem", type: "spki" }).toString();
  return await signStatement(softwareSigner(readKeyFile(signing)), "client-request", site, id, { key, tlsKey });
}

/** Whether this is `id`'s request to this site, by the key that it brings. Throws REQUEST_INVALID. */
export function judgeClientRequest(raw: unknown, site: string, id: string): ClientRequest {
  const invalid = (why: string): ClientError => new ClientError("REQUEST_INVALID", why, { remedy: "copy the file again, or run `shardkeep client request` again; is it the right stick?" });
  const parsed = clientRequest.safeParse(raw);
  if (!parsed.success) throw invalid("this is no client request, or half of one");
  const request = parsed.data;
  if (request.site !== site || request.by !== id) throw invalid(`this is the request of ${request.by} to site ${request.site}, not of ${id} to ${site}`);
  if (!verifyStatement(request, site, request.body.key)) throw invalid(`the request of ${id} is not signed by its own key`);
  return request;
}

/** What the site record says of a client that is no administrator; without a person it is a service. */
export function entryOf(id: string, key: string, person: string | undefined): ClientEntry {
  return { id, key, admin: false, ...(person === undefined ? {} : { person }) };
}

/** Through an administrator: `enter` brings the entry into the record of a sealed site first, by people's fingers. */
export async function admitClient(
  admin: Pick<Client, "request" | "config">, { by: id, body: { key, tlsKey } }: ClientRequest, person: string | undefined, enter: (entry: ClientEntry) => Promise<unknown>,
): Promise<ClientAnswer> {
  const { site, broker, coordinator, authority } = admin.config;
  const entry = entryOf(id, key, person);
  await enter(entry);
  return { type: "client-answer", site, client: id, broker, coordinator, authority, ...await admin.request("client-approve", { ...entry, tlsKey }) };
}

/** Throws ANSWER_INVALID. */
export function parseClientAnswer(text: string): ClientAnswer {
  try {
    return clientAnswer.parse(JSON.parse(text));
  } catch (cause) {
    throw new ClientError("ANSWER_INVALID", "this is no client's answer, or half of one", { cause, remedy: "copy it again; else `shardkeep client add --request` once more" });
  }
}

/**
 * Takes the answer into the folder that asked; gives the path of its client.yaml, which is written last. The same answer
 * again changes nothing. `expected` is the authority's key or its fingerprint. Throws NOT_REQUESTED, ANSWER_FOREIGN, AUTHORITY_WRONG, CLIENT_EXISTS.
 */
export function acceptClient(folder: string, answer: ClientAnswer, expected?: string): string {
  const { site, client, broker, coordinator, authority } = answer;
  const files = filesOf(folder);
  if (!hasKeys(folder)) throw new ClientError("NOT_REQUESTED", `${folder} has no keys of a client`, { remedy: "shardkeep client request ID --site SITE --folder FOLDER --out REQUEST" });
  if (expected !== undefined && !isMeant(authority, expected)) {
    throw new ClientError("AUTHORITY_WRONG", `the answer names the authority ${fingerprintOf(authority)}, not the one that you named`, { remedy: "compare with `shardkeep site show` at the administrator's; if that says the same, somebody exchanged the file" });
  }
  if (!isFor(answer, files.tls)) throw new ClientError("ANSWER_FOREIGN", `the answer is not for the keys in ${folder}`, { remedy: "take the right file: is it the right stick? Else `shardkeep client request` and `client add` once more" });
  const content = stringify({ site, client, broker, coordinator, authority });
  if (existsSync(files.config)) {
    if (readFileSync(files.config, "utf8") === content) return files.config;
    throw new ClientError("CLIENT_EXISTS", `${files.config} is already there and says something else`, { remedy: "use it, or begin with another folder" });
  }
  writeDurably(files.certificate, answer.certificate);
  writeDurably(files.ca, answer.ca);
  writeDurably(files.config, content);
  return files.config;
}

function isFor({ client, certificate, ca }: ClientAnswer, tlsKey: string): boolean {
  try {
    return isCertified(new X509Certificate(certificate), new X509Certificate(ca), client, tlsKey);
  } catch {
    return false;
  }
}
