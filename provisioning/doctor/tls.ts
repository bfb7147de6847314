import { createPrivateKey, X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import type { TlsFiles } from "../../agent/mqtt/connection.ts";
import { readTls, tlsPaths } from "../../agent/mqtt/tls-files.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { Concern, Fault, type Check } from "./check.ts";

const day = 86_400_000;
const warnDays = 30;
/** Ours are good for ever (RFC 5280 §4.1.2.5): the site record says when they end. */
const forEver = 9999;

/** What is presented as `name`. Only an end that another authority has set is judged by the clock. */
export function judgeCertificate({ ca, cert, key }: TlsFiles, name: string, now: number): string {
  const invalid = (why: string, cause?: unknown): ShardkeepError => new ShardkeepError("TLS_INVALID", `the certificate of ${name}: ${why}`, { cause, remedy: "the files are damaged or do not belong together: restore them from one backup, or join again" });
  let own: X509Certificate;
  let authority: X509Certificate;
  let fits: boolean;
  try {
    [own, authority] = [new X509Certificate(cert), new X509Certificate(ca)];
    fits = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw invalid("a file cannot be read", cause);
  }
  if (!fits) throw invalid("it is not of the private key beside it");
  if (!own.verify(authority.publicKey)) throw invalid("it is not of the authority beside it");
  if (own.subject !== `CN=${name}`) throw invalid(`it names ${own.subject}`);
  const end = new Date(own.validTo);
  if (end.getUTCFullYear() >= forEver) return `${name}: good as long as the site record names it`;
  const days = Math.floor((end.getTime() - now) / day);
  const remedy = "renew it at the authority that issued it; is the clock right?";
  if (days < 0) throw new Fault("CERTIFICATE_EXPIRED", `the certificate of ${name} ended ${-days} days ago`, { remedy });
  if (days < warnDays) throw new Concern("CERTIFICATE_EXPIRES", `the certificate of ${name} ends in ${days} days`, { remedy });
  return `${name}: ${days} days left`;
}

export function judgeKeyFile(path: string): void {
  const mode = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
  if ((mode & 0o077) !== 0) throw new ShardkeepError("KEY_FILE_EXPOSED", `others than its owner can read ${path} (mode ${mode.toString(8)})`, { remedy: `chmod 600 ${path}, and think who may have read it` });
}

export function certificateCheck(state: string, name: string): Check {
  return {
    name: `certificate ${name}`,
    run: () => {
      const found = judgeCertificate(readTls(state, name), name, Date.now());
      judgeKeyFile(tlsPaths(state, name).key);
      return found;
    },
  };
}
