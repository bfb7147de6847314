import { randomBytes } from "node:crypto";
import { access, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { base64url } from "../protocol/primitives.ts";
import { ciphertextOverhead } from "../protocol/ciphertext.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { systemRandom } from "../runtime/random.ts";
import { wipe } from "../runtime/secrets.ts";
import { openChunks, sealChunks } from "./chunks.ts";
import { FileError } from "./errors.ts";
import { dataKeyBytes, encodeHeader, readHeader, type FileHeader } from "./header.ts";
import type { Ask, Outcome, UseOptions } from "./use.ts";

/**
 * Envelope encryption of files of any size (docs/file-format.md): the master key wraps 32 bytes, once a file;
 * the file itself never leaves this process.
 */
export interface KeyUser {
  readonly site: string;
  use(ask: Ask, options?: UseOptions): Promise<Outcome>;
}

/** What is asked of a key for one file; `reason` is shown to the people who approve. */
export interface SealAsk {
  readonly key: string;
  readonly resource: string;
  readonly reason: string;
}

async function* seal(client: KeyUser, source: AsyncIterable<Uint8Array>, ask: SealAsk, options: UseOptions): AsyncGenerator<Uint8Array> {
  const dataKey = systemRandom.bytes(dataKeyBytes);
  try {
    const { result } = await client.use({ ...ask, operation: "wrap", payload: dataKey }, options);
    const wrapped = base64url(dataKeyBytes + ciphertextOverhead).parse(toBase64url(result));
    const header: FileHeader = { format: "shardkeep-file/1", site: client.site, key: ask.key, resource: ask.resource, chunk: 65_536, dataKey: wrapped };
    const line = encodeHeader(header);
    yield line;
    yield* sealChunks(dataKey, header, line, source);
  } finally {
    wipe(dataKey);
  }
}

async function* unseal(client: KeyUser, source: AsyncIterable<Uint8Array>, reason: string, options: UseOptions): AsyncGenerator<Uint8Array> {
  const { header, line, rest } = await readHeader(source);
  const { site, key, resource } = header;
  // Before anybody is asked for a finger.
  if (site !== client.site) throw new FileError("FILE_WRONG_SITE", `the file was sealed at site ${site}, this client belongs to ${client.site}`, { remedy: `use a client of ${site}` });
  const payload = bytesOf(header.dataKey);
  const { result: dataKey } = await client.use({ key, resource, reason, operation: "unwrap", payload }, options);
  try {
    if (dataKey.length !== dataKeyBytes) throw new FileError("FILE_DAMAGED", `the file's key has ${dataKey.length} bytes, not ${dataKeyBytes}`);
    yield* openChunks(dataKey, header, line, rest);
  } finally {
    wipe(dataKey);
  }
}

/** Seals what `source` gives into `sink`, and ends it. Needs the approval of operation `wrap`. */
export async function sealStream(client: KeyUser, source: AsyncIterable<Uint8Array>, sink: Writable, ask: SealAsk, options: UseOptions = {}): Promise<void> {
  await pipeline(seal(client, source, ask, options), sink);
}

/**
 * Opens what {@link sealStream} wrote. A chunk reaches `sink` only after it was proven; that the file is whole
 * is known only when this resolves, so until then act on nothing of it. Needs the approval of `unwrap`.
 * Throws FILE_HEADER_INVALID, FILE_WRONG_SITE, FILE_DAMAGED, and what the operation throws.
 */
export async function openStream(client: KeyUser, source: AsyncIterable<Uint8Array>, sink: Writable, ask: Pick<SealAsk, "reason">, options: UseOptions = {}): Promise<void> {
  await pipeline(unseal(client, source, ask.reason, options), sink);
}

/** {@link sealStream} from file to file; `output` appears whole or not at all. Throws also FILE_EXISTS, FILE_UNREADABLE, FILE_UNWRITABLE. */
export async function sealFile(client: KeyUser, input: string, output: string, ask: SealAsk, options: UseOptions = {}): Promise<void> {
  await fromFileToFile(input, output, (source) => seal(client, source, ask, options));
}

/** {@link openStream} from file to file: a file that is damaged anywhere leaves nothing at `output`. */
export async function openFile(client: KeyUser, input: string, output: string, ask: Pick<SealAsk, "reason">, options: UseOptions = {}): Promise<void> {
  await fromFileToFile(input, output, (source) => unseal(client, source, ask.reason, options));
}

async function* piecesOf(file: FileHandle, path: string): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null).catch((cause: unknown) => { throw unreadable(path, cause); });
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false);
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

function unreadable(path: string, cause: unknown): FileError {
  return new FileError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path and its permissions" });
}

function unwritable(path: string, cause: unknown): FileError {
  return new FileError("FILE_UNWRITABLE", `cannot write ${path}`, { cause, remedy: "check the folder, its permissions and the free space" });
}

/** Both files are opened before anybody is asked for a finger; `output` is renamed into place when it is durable. */
async function fromFileToFile(input: string, output: string, convert: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>): Promise<void> {
  const source = await open(input, "r").catch((cause: unknown) => { throw unreadable(input, cause); });
  const temporary = `${output}.${randomBytes(4).toString("hex")}.part`;
  try {
    if (await exists(output)) throw new FileError("FILE_EXISTS", `${output} is already there`, { remedy: "name another output, or move that file away" });
    const target = await open(temporary, "wx", 0o600).catch((cause: unknown) => { throw unwritable(output, cause); });
    try {
      for await (const bytes of convert(piecesOf(source, input))) {
        await target.writeFile(bytes).catch((cause: unknown) => { throw unwritable(output, cause); });
      }
      await target.sync().catch((cause: unknown) => { throw unwritable(output, cause); });
    } finally {
      await target.close();
    }
    await rename(temporary, output).catch((cause: unknown) => { throw unwritable(output, cause); });
    await sync(dirname(output));
  } finally {
    await rm(temporary, { force: true });
    await source.close();
  }
}
