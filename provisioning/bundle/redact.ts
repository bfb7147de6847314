import { createHmac } from "node:crypto";
import { wipe } from "../../agent/runtime/secrets.ts";
import { formsOf, type Secret } from "./needles.ts";

/** Makes text safe to send: known secrets first, by their bytes; then whatever could be one, by its look. */
export interface Redaction {
  readonly secrets: readonly Secret[];
  /** Keys, hashes and fingerprints that everybody may see. */
  readonly publics: ReadonlySet<string>;
  /** Random, of this bundle alone: equal blobs get equal marks, and no mark can be guessed back. */
  readonly key: Uint8Array;
}

/** Anything that random bytes of this many characters would need to look like. */
const least = { blob: 20, mixed: 32, hex: 16 } as const;

const markOf = (blob: string, key: Uint8Array): string => `[redacted ${blob.length} characters, ${createHmac("sha256", key).update(blob).digest("hex").slice(0, 8)}]`;

function replaceAll(bytes: Buffer, form: Uint8Array, mark: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, from)) {
    parts.push(bytes.subarray(from, at), mark);
    from = at + form.length;
  }
  return parts.length === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
}

export function withoutKnown(bytes: Buffer, secrets: readonly Secret[]): Buffer {
  return secrets.reduce((left, secret) => {
    // The longest first: a part of a form says less than the whole.
    const forms = formsOf(secret).sort((a, b) => b.length - a.length);
    const clean = forms.reduce((now, form) => replaceAll(now, form, Buffer.from(`[${secret.what}]`)), left);
    wipe(...forms);
    return clean;
  }, bytes);
}

/** Whether one of the secrets is in there, in any form. */
export function holds(bytes: Buffer, secrets: readonly Secret[]): Secret | undefined {
  return secrets.find((secret) => {
    const forms = formsOf(secret);
    const found = forms.some((form) => bytes.indexOf(form) >= 0);
    wipe(...forms);
    return found;
  });
}

/** A PEM block may be spread over log lines, or lack its end. */
const pem = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g;
const named = /\b(pin|password|passwd|secret|token[_-]?pin)(["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|\S+)/gi;
const inUrl = /(\/\/)[^\s/@]+@/g;
/** Eight or more bytes as numbers, whatever stands between: a Buffer or an array as programs print them. */
const numbers = [
  // Hexadecimal or decimal in one: eight of two digits on end are both, and what stands around them would be left over.
  /(?:\b(?:[0-9a-f]{2}|\d{1,3})\b[\s,:-]*){8,}/gi,
  /(?:"?\b\d+"?\s*:\s*\d{1,3}\b[\s,]*){8,}/g,
];
/** Wrapped base64 goes on in the next lines, and ends in a short one. */
const run = /[A-Za-z0-9+/_-]{40,}={0,2}(?:\r?\n[A-Za-z0-9+/_-]+={0,2}(?=\r?\n|$))*|[A-Za-z0-9+/_-]+={0,2}/g;
const hexRun = new RegExp(`[0-9a-fA-F]{${least.hex},}`, "g");
const escapes = /\\x[0-9a-f]{2}|\\u00[0-9a-f]{2}|%[0-9a-f]{2}|\\[0-3][0-7]{2}/gi;
const mostEscapes = 3;
const noText = /\uFFFD|[^\P{Cc}\t]/u;

/** Words, names and paths have no such mix; random bytes of twenty characters nearly always do. A device's path may, and helps. */
const isBlob = (text: string): boolean => !text.startsWith("/dev/") && text.length >= least.blob && /[a-z]/.test(text) && /[A-Z]/.test(text) && (/[0-9+_]/.test(text) || isMixed(text));

/** Letters alone, as one in a thousand base64 texts of a key has: no name has a quarter of each case. */
function isMixed(text: string): boolean {
  const quarter = text.length / 4;
  return text.length >= least.mixed && text.replace(/[^A-Z]/g, "").length >= quarter && text.replace(/[^a-z]/g, "").length >= quarter;
}

const rawLine = (line: string | undefined): boolean => line !== undefined && noText.test(line.replace(/\r$/, ""));

/** Raw bytes may have a line's end among them: the line before and the one after may be of them too, and are not told apart. */
function isSuspect(line: string, at: number, lines: readonly string[]): boolean {
  return [lines[at - 1], line, lines[at + 1]].some(rawLine) || (line.match(escapes)?.length ?? 0) > mostEscapes;
}

/** Text that was read as UTF-8. Lines stay lines; one with bytes that are no text goes whole, and so do its neighbours. */
export function redacted(text: string, { publics, key }: Pick<Redaction, "publics" | "key">): string {
  const mark = (blob: string): string => (publics.has(blob) ? blob : markOf(blob, key));
  const lines = text.replace(pem, "[private key]").split("\n")
    .map((line, at, all) => (isSuspect(line, at, all) ? "[a line with bytes that are no text]" : line));
  const spread = numbers.reduce((now, form) => now.replace(form, (found) => `[redacted bytes]${/\s$/.exec(found)?.[0] ?? ""}`), lines.join("\n").replace(named, "$1$2[redacted]").replace(inUrl, "$1[redacted]@"));
  return spread.replace(run, (found) => (publics.has(found) ? found : isBlob(found) ? mark(found) : found.replace(hexRun, mark)));
}

export function clean(bytes: Buffer, redaction: Redaction): string {
  return redacted(withoutKnown(bytes, redaction.secrets).toString("utf8"), redaction);
}
