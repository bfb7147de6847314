import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { openChunks, sealChunks } from "../../agent/client/chunks.ts";
import { encodeHeader, readHeader, type FileHeader } from "../../agent/client/header.ts";
import { concat, toBase64url, utf8 } from "../../agent/runtime/encoding.ts";

const chunk = 65_536;
const tag = 16;
const dataKey = new Uint8Array(32).fill(7);
const header: FileHeader = {
  format: "shardkeep-file/1", site: "plant", key: "payroll", resource: "payroll/2026", chunk, dataKey: toBase64url(new Uint8Array(84).fill(1)),
};
const line = encodeHeader(header);
const damaged = { code: "FILE_DAMAGED" };

async function* pieces(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part.slice());
  return concat(...parts);
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
const sealed = (bytes: Uint8Array, size?: number): Promise<Uint8Array> => collect(sealChunks(dataKey, header, line, pieces(bytes, size)));
const opened = (bytes: Uint8Array, size?: number): Promise<Uint8Array> => collect(openChunks(dataKey, header, line, pieces(bytes, size)));

const sized = (kind: string, bytes: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(kind), Buffer.of(bytes.length >>> 24, bytes.length >>> 16, bytes.length >>> 8, bytes.length), bytes]);

/** One chunk as docs/file-format.md says, written without the code under test. */
function craft(index: number, last: boolean, plain: Uint8Array): Uint8Array {
  const aad = Buffer.concat([sized("s", utf8("shardkeep/v1/file")), sized("s", utf8("plant")), Buffer.from("o\0\0\0\x01"), sized("s", utf8("header")), sized("b", line)]);
  const cipher = createCipheriv("aes-256-gcm", dataKey, Buffer.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index, last ? 1 : 0)).setAAD(aad);
  return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

void t.test("sizes around the chunk come back as they went in", async (t) => {
  for (const length of [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 200_000]) {
    const plain = pattern(length);
    const file = await sealed(plain);
    t.equal(file.length, length + tag * Math.max(1, Math.ceil(length / chunk)), `${length} bytes: one tag a chunk`);
    t.ok(equal(await opened(file), plain), `${length} bytes`);
  }
});

void t.test("how the bytes arrive changes nothing", async (t) => {
  const plain = pattern(chunk + 5);
  const file = await sealed(plain, 1);
  t.ok(equal(file, await sealed(plain)), "sealed byte by byte");
  t.ok(equal(await opened(file, 1), plain), "opened byte by byte");
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 70_000 }), async (a, b) => {
    const whole = await opened(await sealed(plain, a), b);
    return equal(whole, plain);
  }), { numRuns: 20 });
});

void t.test("the format, byte by byte", async (t) => {
  t.equal(Buffer.from(line).toString(), `{"format":"shardkeep-file/1","site":"plant","key":"payroll","resource":"payroll/2026","chunk":65536,"dataKey":"${header.dataKey}"}\n`);
  const plain = pattern(2 * chunk + 3);
  t.ok(equal(await sealed(plain), concat(craft(0, false, plain.slice(0, chunk)), craft(1, false, plain.slice(chunk, 2 * chunk)), craft(2, true, plain.slice(2 * chunk)))), "three chunks");
  t.equal(Buffer.from(await sealed(utf8("shardkeep"))).toString("hex"), "4320d812502b87625d60fb59bb61c67689ff47942640f3c599");
  t.equal(Buffer.from(await sealed(new Uint8Array())).toString("hex"), "d6c5fb9152034624555288761e662e78");
});

void t.test("a file that was cut does not open", async (t) => {
  const file = await sealed(pattern(2 * chunk + 100));
  const full = chunk + tag;
  for (const [what, length] of [
    ["everything gone", 0], ["inside the first tag's length", tag - 1], ["one byte of the first chunk", 1], ["just a tag", tag], ["inside the first chunk", 1000],
    ["before the first tag", chunk], ["after the first chunk", full], ["one byte into the second", full + 1], ["a tag's length into the second", full + tag],
    ["after the second chunk", 2 * full], ["less than a tag of the last", 2 * full + 15], ["a tag's length of the last", 2 * full + tag], ["the last byte gone", file.length - 1],
  ] as const) await t.rejects(opened(file.slice(0, length)), damaged, what);
});

void t.test("a bit flipped anywhere is found", async (t) => {
  const file = await sealed(pattern(chunk + 100));
  for (const at of [0, 1, 1000, chunk - 1, chunk, chunk + tag - 1, chunk + tag, chunk + tag + 99, chunk + tag + 100, file.length - 1]) {
    const changed = file.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    await t.rejects(opened(changed), damaged, `byte ${at}`);
  }
});

void t.test("chunks cannot be moved, repeated, dropped or appended", async (t) => {
  const full = chunk + tag;
  const file = await sealed(pattern(3 * chunk + 100));
  const part = (i: number): Uint8Array => file.slice(i * full, (i + 1) * full);
  const [a, b, c, last] = [part(0), part(1), part(2), part(3)];
  t.ok(equal(await opened(concat(a, b, c, last)), pattern(3 * chunk + 100)), "in order they open");
  for (const [what, order] of [
    ["exchanged", [b, a, c, last]], ["repeated", [a, a, b, c, last]], ["dropped", [a, c, last]], ["first dropped", [b, c, last]],
    ["last repeated", [a, b, c, last, last]], ["only the last", [last]],
  ] as const) await t.rejects(opened(concat(...order)), damaged, what);
  await t.rejects(opened(concat(file, Uint8Array.of(0))), damaged, "one byte appended");
  await t.rejects(opened(concat(file, new Uint8Array(full))), damaged, "a chunk's length appended");
});

void t.test("a file of whole chunks has one form: no empty chunk follows", async (t) => {
  // What a writer that always ends with a further chunk would make: its last chunk is empty.
  const plain = pattern(chunk);
  await t.rejects(opened(concat(craft(0, false, plain), craft(1, true, new Uint8Array()))), damaged);
  t.ok(equal(await opened(await sealed(plain)), plain));
});

void t.test("another key or another header opens nothing", async (t) => {
  const file = await sealed(utf8("secret"));
  await t.rejects(collect(openChunks(new Uint8Array(32).fill(8), header, line, pieces(file))), damaged, "another data key");
  for (const change of [{ resource: "public" }, { key: "other" }, { dataKey: toBase64url(new Uint8Array(84).fill(2)) }]) {
    const other = { ...header, ...change };
    await t.rejects(collect(openChunks(dataKey, other, encodeHeader(other), pieces(file))), damaged, JSON.stringify(change));
  }
});

void t.test("no plaintext of a chunk is given out before its tag was right", async (t) => {
  const file = await sealed(pattern(chunk + 100));
  file[file.length - 1] = (file.at(-1) ?? 0) ^ 1;
  const got: Uint8Array[] = [];
  await t.rejects((async () => { for await (const part of openChunks(dataKey, header, line, pieces(file))) got.push(part); })(), damaged);
  t.equal(concat(...got).length, chunk, "the first chunk, and nothing of the second");
});

void t.test("memory does not grow with the file", async (t) => {
  let inFlight = 0;
  async function* many(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 300; i++) {
      inFlight += 1;
      yield await Promise.resolve(new Uint8Array(chunk));
    }
  }
  let chunks = 0;
  for await (const part of openChunks(dataKey, header, line, sealChunks(dataKey, header, line, many()))) {
    chunks += 1;
    t.ok(part.length === chunk && inFlight - chunks <= 3, `never more than three chunks ahead (${inFlight - chunks})`);
  }
  t.equal(chunks, 300);
});

void t.test("headers", async (t) => {
  const whole = concat(line, utf8("the rest"));
  for (const size of [1, 7, line.length - 1, line.length, line.length + 1, whole.length]) {
    const read = await readHeader(pieces(whole, size));
    t.same(read.header, header);
    t.same(read.line, line);
    t.equal(Buffer.from(await collect(read.rest)).toString(), "the rest", `in pieces of ${size}`);
  }
  const bad: [string, string | Uint8Array][] = [
    ["empty", ""], ["no newline", "{}"], ["no JSON", "hello\n"], ["no UTF-8", Uint8Array.of(0xff, 0x0a)], ["another format", JSON.stringify({ ...header, format: "x" }) + "\n"],
    ["an unknown field", JSON.stringify({ ...header, more: 1 }) + "\n"], ["another chunk size", JSON.stringify({ ...header, chunk: 16 }) + "\n"],
    ["a bad resource", JSON.stringify({ ...header, resource: "a/**" }) + "\n"], ["a short data key", JSON.stringify({ ...header, dataKey: "AAAA" }) + "\n"], ["a long line", "x".repeat(1025) + "\n"],
  ];
  for (const [what, text] of bad) {
    await t.rejects(readHeader(pieces(typeof text === "string" ? utf8(text) : text)), { code: "FILE_HEADER_INVALID" }, what);
  }
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 1200 }), async (bytes) => {
    await t.rejects(readHeader(pieces(bytes, 100)), { code: "FILE_HEADER_INVALID" });
  }), { numRuns: 50 });
});
