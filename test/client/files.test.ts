import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import t, { type Test } from "tap";
import { openFile, openStream, sealFile, sealStream, type KeyUser } from "../../agent/client/files.ts";
import type { Ask, Outcome } from "../../agent/client/use.ts";
import { decryptUnder, encryptUnder } from "../../agent/protocol/ciphertext.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { systemRandom } from "../../agent/runtime/random.ts";

/** What the enclave does, without a site: wraps and unwraps under one master key. */
class LocalKey implements KeyUser {
  readonly site: string;
  readonly asked: Ask[] = [];
  refuse: ShardkeepError | undefined;
  readonly #master = new Uint8Array(32).fill(9);

  constructor(site = "plant") {
    this.site = site;
  }

  use(ask: Ask): Promise<Outcome> {
    this.asked.push({ ...ask, payload: ask.payload.slice() });
    if (this.refuse !== undefined) return Promise.reject(this.refuse);
    const name = { site: this.site, key: ask.key, version: 1, use: "wrap", resource: ask.resource } as const;
    return Promise.resolve().then(() => {
      const result = ask.operation === "wrap" ? encryptUnder(this.#master, name, ask.payload, systemRandom) : decryptUnder(this.#master, name, ask.payload);
      return { result, code: "4711", fields: undefined as unknown as Outcome["fields"] };
    });
  }
}

const ask = { key: "payroll", resource: "payroll/2026", reason: "test" };
const plain = Buffer.alloc(150_000, "payroll ");

function folder(t: Test): (name: string) => string {
  const path = mkdtempSync(join(tmpdir(), "shardkeep-files-"));
  t.teardown(() => { rmSync(path, { recursive: true, force: true }); });
  writeFileSync(join(path, "in"), plain);
  return (name) => join(path, name);
}

void t.test("a file is sealed and opened", async (t) => {
  const at = folder(t);
  const key = new LocalKey();
  await sealFile(key, at("in"), at("sealed"), ask);
  t.notOk(readFileSync(at("sealed")).includes("payroll payroll"), "no plaintext in it");
  t.match(key.asked[0], { operation: "wrap", key: "payroll", resource: "payroll/2026", reason: "test" });
  t.equal(key.asked[0]?.payload.length, 32, "the HSM path moves 32 bytes");
  await openFile(key, at("sealed"), at("out"), { reason: "look" });
  t.ok(readFileSync(at("out")).equals(plain));
  t.match(key.asked[1], { operation: "unwrap", key: "payroll", resource: "payroll/2026", reason: "look" });
  t.same(readdirSync(at(".")).sort(), ["in", "out", "sealed"], "nothing else is left");

  await sealFile(key, at("in"), at("again"), ask);
  t.notOk(readFileSync(at("again")).equals(readFileSync(at("sealed"))), "every file has a key of its own");
  t.notSame(key.asked[2]?.payload, key.asked[0]?.payload);
});

void t.test("streams", async (t) => {
  const key = new LocalKey();
  const collect = (into: Buffer[]): Writable => new Writable({ write: (part: Buffer, _encoding, done) => { into.push(Buffer.from(part)); done(); } });
  const sealed: Buffer[] = [];
  await sealStream(key, Readable.from([plain.subarray(0, 10), plain.subarray(10)]), collect(sealed), ask);
  const opened: Buffer[] = [];
  await openStream(key, Readable.from([Buffer.concat(sealed)]), collect(opened), { reason: "look" });
  t.ok(Buffer.concat(opened).equals(plain));
  await t.rejects(openStream(key, Readable.from([Buffer.concat(sealed).subarray(0, -1)]), collect([]), { reason: "look" }), { code: "FILE_DAMAGED" });
});

void t.test("a file that is bad anywhere leaves nothing", async (t) => {
  const at = folder(t);
  const key = new LocalKey();
  await sealFile(key, at("in"), at("sealed"), ask);
  const whole = readFileSync(at("sealed"));
  const head = whole.indexOf(10) + 1;
  const flipped = (index: number): Buffer => { const copy = Buffer.from(whole); copy[index] = (copy[index] ?? 0) ^ 1; return copy; };
  const renamed = (from: string, to: string): Buffer => Buffer.concat([Buffer.from(whole.subarray(0, head).toString().replace(from, to)), whole.subarray(head)]);
  for (const [what, bytes, code] of [
    ["cut at the end", whole.subarray(0, -1), "FILE_DAMAGED"], ["cut after the header", whole.subarray(0, head), "FILE_DAMAGED"],
    ["cut in the header", whole.subarray(0, 50), "FILE_HEADER_INVALID"], ["empty", whole.subarray(0, 0), "FILE_HEADER_INVALID"],
    ["a bit in the first chunk", flipped(head), "FILE_DAMAGED"], ["a bit in the last tag", flipped(whole.length - 1), "FILE_DAMAGED"],
    ["said to be of another resource", renamed("payroll/2026", "payroll/2027"), "CIPHERTEXT_INVALID"],
    ["said to be of another key", renamed(`"key":"payroll"`, `"key":"other"`), "CIPHERTEXT_INVALID"],
    ["of another site", renamed("plant", "other"), "FILE_WRONG_SITE"],
    ["with another space in the header", renamed(`"key":`, `"key": `), "FILE_DAMAGED"],
  ] as const) {
    writeFileSync(at("bad"), bytes);
    await t.rejects(openFile(key, at("bad"), at("out"), { reason: "look" }), { code }, what);
    t.same(readdirSync(at(".")).sort(), ["bad", "in", "sealed"], `${what}: nothing is left`);
  }
  const asked = key.asked.length;
  writeFileSync(at("bad"), renamed("plant", "other"));
  await t.rejects(openFile(key, at("bad"), at("out"), { reason: "look" }), { code: "FILE_WRONG_SITE" });
  t.equal(key.asked.length, asked, "nobody is asked for a finger for a file of another site");
});

void t.test("what cannot be read or written is said before anybody is asked", async (t) => {
  const at = folder(t);
  const key = new LocalKey();
  await t.rejects(sealFile(key, at("none"), at("out"), ask), { code: "FILE_UNREADABLE" });
  await t.rejects(sealFile(key, at("."), at("out"), ask), { code: "FILE_UNREADABLE" }, "a folder");
  await t.rejects(sealFile(key, at("in"), at("no/such/folder"), ask), { code: "FILE_UNWRITABLE" });
  writeFileSync(at("there"), "precious");
  await t.rejects(sealFile(key, at("in"), at("there"), ask), { code: "FILE_EXISTS" });
  t.equal(readFileSync(at("there"), "utf8"), "precious");
  t.equal(key.asked.filter(({ operation }) => operation === "wrap").length, 1, "only the folder was found out late");
  key.refuse = new ShardkeepError("NOT_PERMITTED", "no");
  await t.rejects(sealFile(key, at("in"), at("out"), ask), { code: "NOT_PERMITTED" });
  t.same(readdirSync(at(".")).sort(), ["in", "there"]);
});

void t.test("a key of the wrong length is refused", async (t) => {
  const at = folder(t);
  const key = new LocalKey();
  await sealFile(key, at("in"), at("sealed"), ask);
  const short: KeyUser = { site: "plant", use: (asked) => key.use(asked).then((outcome) => ({ ...outcome, result: outcome.result.slice(0, 16) })) };
  await t.rejects(openFile(short, at("sealed"), at("out"), { reason: "look" }), { code: "FILE_DAMAGED" });
});
