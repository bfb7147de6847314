import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { randomBytes } from "node:crypto";
import { FileError } from "../../agent/client/errors.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { ShardkeepError, toWire } from "../../agent/runtime/errors.ts";
import { wipe } from "../../agent/runtime/secrets.ts";
import { version } from "../../agent/runtime/version.ts";
import { diagnose } from "../doctor/doctor.ts";
import { readRecord } from "../doctor/store.ts";
import { placesOf } from "../backup/files.ts";
import type { Installation } from "../machine/installation.ts";
import { secretsOf } from "./needles.ts";
import { clean, holds, redacted, type Redaction } from "./redact.ts";

export interface BundleRequest {
  readonly of: Installation | undefined;
  readonly logs: readonly string[];
  /** What the coordinator says; rejects where it cannot be asked. */
  readonly status: () => Promise<unknown>;
}

const mostLines = 2000;
const mostLogBytes = 4 * 1024 * 1024;
const statusMs = 8000;

/** The end of a log: of a long one the last bytes, whose first line may be cut. Throws FILE_UNREADABLE. */
export function endOf(path: string): Buffer {
  try {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      const bytes = Buffer.alloc(Math.min(size, mostLogBytes));
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, Math.max(size - bytes.length, 0)));
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new FileError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "journalctl -u 'shardkeep*' > FILE writes one" });
  }
}

/** Every text in a value, and what `change` makes of it; numbers and names of fields are ours. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mapTexts(one, change)]));
}

function textsIn(value: unknown): string[] {
  const texts: string[] = [];
  mapTexts(value, (text) => { texts.push(text); return text; });
  return texts;
}

async function orError(ask: () => Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new ShardkeepError("NO_ANSWER", "no answer in time", { retryable: true })); }, statusMs); });
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    return { error: toWire(error) };
  } finally {
    clearTimeout(timer);
  }
}

function distribution(): string {
  const file = "/etc/os-release";
  return (existsSync(file) ? /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync(file, "utf8"))?.[1] : undefined) ?? "unknown";
}

/** Configuration as it was understood: no comment of the file, no content of a file that it names. */
function configured(of: Installation | undefined): object {
  return of === undefined ? {} : { kind: of.kind, file: of.file, config: of.config };
}

/**
 * All that helps to find a fault from afar, as one JSON document without a secret. Looked through once more before it is
 * given: rejects with BUNDLE_UNSAFE rather than let a secret of this machine pass; FILE_UNREADABLE for a log that is not there.
 */
export async function bundle({ of, logs, status }: BundleRequest): Promise<string> {
  const ends = logs.map((path) => ({ path: resolve(path), bytes: endOf(path) }));
  const secrets = of === undefined ? [] : secretsOf(of);
  try {
    const [findings, record, told] = await Promise.all([diagnose(of), orError(async () => (of === undefined ? null : await readRecord(of))), orError(status)]);
    const known = textsIn([record, told, of === undefined ? null : placesOf(of)]);
    const redaction: Redaction = { secrets, publics: new Set([...known, ...known.map(fingerprintOf)]), key: randomBytes(32) };
    const document = {
      format: 1, made: new Date().toISOString(), shardkeep: version,
      machine: { node: process.version, arch: process.arch, kernel: release(), system: distribution() },
      ...mapTexts({ installation: configured(of), doctor: findings, siteRecord: record, status: told }, (text) => clean(Buffer.from(text), redaction)) as object,
      logs: ends.map(({ path, bytes }) => ({ path: redacted(path, redaction), lines: clean(bytes, redaction).trimEnd().split("\n").slice(-mostLines) })),
    };
    const text = `${JSON.stringify(document, null, 1)}\n`;
    const leak = holds(Buffer.from(text), secrets);
    if (leak !== undefined) throw new ShardkeepError("BUNDLE_UNSAFE", `the bundle would hold the ${leak.what} of this machine: nothing was written`, { remedy: "report it, without the log; send what `shardkeep doctor` says instead" });
    return text;
  } finally {
    wipe(...secrets.map(({ bytes }) => bytes), ...ends.map(({ bytes }) => bytes));
  }
}

/** Who may ask the coordinator from here: the client that is named, or a coordinator's own first one. */
export function clientFor(named: string, of: Installation | undefined): string | undefined {
  const own = of?.kind === "coordinator" ? [join(of.state, "clients", "admin", "client.yaml")] : [];
  return [named, ...own].find((file) => existsSync(file));
}
