import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import t, { type Test } from "tap";
import { canonical } from "../../agent/protocol/canonical.ts";
import { generateRecipient, open, openByEphemeral, seal } from "../../agent/protocol/seal.ts";
import { concat, utf8 } from "../../agent/runtime/encoding.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { parseMaps, scanMemory } from "../../provisioning/demo/memory-scan.ts";
import { entry, freshHsm, softhsm } from "./fixtures/token.ts";
import { bytes, dealIn, makePiece, opens } from "./pieces.ts";
import { dealerXs, newXs, Reshard } from "./reshard-scene.ts";

/** A secret in the forms in which it gets stuck: whole, either half, reversed, as text. */
function forms(secret: Uint8Array): Uint8Array[] {
  const half = secret.length / 2;
  return [
    secret.subarray(0, half), secret.subarray(half), secret.toReversed(),
    utf8(Buffer.from(secret).toString("hex")), utf8(Buffer.from(secret).toString("base64")), utf8(Buffer.from(secret).toString("base64url")),
  ];
}

/** A child that runs `work` (it may wait) on the secret it reads from its input, and then waits. */
async function child(t: Test, work: string, secret: Uint8Array, flags: readonly string[] = []): Promise<number> {
  const process_ = spawn(process.execPath, [...flags, "--input-type=module", "-e", `
    import { readSync } from "node:fs";
    const secret = new Uint8Array(new ArrayBuffer(32));
    readSync(0, secret);
    ${work}
    console.log("done");
    setInterval(() => secret.length, 1000);
  `], { stdio: ["pipe", "pipe", "inherit"], env: {} });
  t.teardown(() => process_.kill("SIGKILL"));
  process_.stdin.write(secret);
  await once(process_.stdout, "data");
  return process_.pid!;
}

void t.test("the scanner finds what was not wiped, and goes on", async (t) => {
  const secret = new Uint8Array(randomBytes(32));
  const careless = await child(t, "global.kept = Buffer.from(secret);", secret);
  const found = await scanMemory(careless, forms(secret));
  t.ok(found.copies >= 4, "both halves of both copies");
  t.ok(found.bytes > 10_000_000, "all of its memory was read");
  t.equal((await scanMemory(careless, forms(new Uint8Array(randomBytes(32))))).copies, 0, "and nothing else");
  t.equal((await scanMemory(await child(t, "secret.fill(0);", secret), forms(secret))).copies, 0, "zero once wiped");
  const text = await child(t, "global.kept = Buffer.from(secret).toString('hex'); secret.fill(0);", secret);
  t.ok((await scanMemory(text, forms(secret))).copies >= 1, "a string is found as well");
  await t.rejects(scanMemory(2 ** 22 + 1, [secret]), { code: "MEMORY_UNREADABLE" });
});

void t.test("what V8 moved away from while it was alive is overwritten", async (t) => {
  const secret = bytes(32);
  // A library's small array that is moved while it holds the secret, and wiped where it then is.
  const moved = (then: string) => child(t, `
    const { overwriteYoungHeap } = await import(${JSON.stringify(new URL("../runtime/young-heap.js", entry).href)});
    const array = new Uint8Array(33);
    for (let index = 0; index < 32; index++) array[index] = secret[index];
    gc({ type: "minor" });
    array.fill(0);
    secret.fill(0);
    ${then}
  `, secret, ["--expose-gc"]);
  t.ok((await scanMemory(await moved(""), forms(secret))).copies > 0, "without it a copy stays");
  t.equal((await scanMemory(await moved("overwriteYoungHeap();"), forms(secret))).copies, 0);
});

void t.test("what is deciphered stands in one place", async (t) => {
  const secret = bytes(32);
  const deciphered = (length: number, then: string) => child(t, `
    const { createCipheriv, createDecipheriv } = await import("node:crypto");
    const { decipherSecret } = await import(${JSON.stringify(new URL("../runtime/decipher.js", entry).href)});
    const plaintext = new Uint8Array(new ArrayBuffer(${length})).map((_, index) => secret[index % 32]);
    const cipher = createCipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(12));
    const ct = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const decipher = createDecipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(12)).setAuthTag(cipher.getAuthTag());
    plaintext.fill(0);
    secret.fill(0);
    ${then}
  `, secret);
  // What malloc keeps for blocks of this very length stays as it was; a longer block is soon something else's.
  t.ok((await scanMemory(await deciphered(1000, "decipher.update(ct).fill(0); decipher.final();"), forms(secret))).copies > 0, "Node leaves a copy");
  for (const length of [1000, 4000]) t.equal((await scanMemory(await deciphered(length, "decipherSecret(decipher, ct).fill(0);"), forms(secret))).copies, 0, `${length} bytes`);
});

void t.test("the mappings that are read", (t) => {
  t.same(parseMaps([
    "55d0c0a00000-55d0c0b00000 r--p 00000000 08:01 1234 /usr/bin/node",
    "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
    "7f0000001000-7f0000002000 ---p 00000000 00:00 0",
    "7ffd00000000-7ffd00004000 r--p 00000000 00:00 0                          [vvar]",
    "ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0                  [vsyscall]",
    "",
  ].join("\n")), [{ start: 0x55d0c0a00000, end: 0x55d0c0b00000 }, { start: 0x7f0000000000, end: 0x7f0000001000 }]);
  t.end();
});

void t.test("the hsm process keeps no copy of a share, a vault key or a challenge secret", async (t) => {
  if (softhsm === undefined) return t.pass("skipped", { skip: "SoftHSM is not installed" });
  const { hsm } = await freshHsm(t);
  const pid = hsm.pid!;
  const [info, aad] = [utf8("info"), utf8("aad")];
  const sealKey = await hsm.createSealKey({ generation: 1 });
  await hsm.createSealKey({ generation: 2 });

  // The test seals the vault key itself, as createVault does, so as to know it.
  const vaultKey = new Uint8Array(randomBytes(32));
  const vault = { generation: 1, ...seal(sealKey, canonical("vault", "", { generation: 1 }), new Uint8Array(0), vaultKey) };
  const next = { generation: 2, ...await hsm.createVault({ generation: 2 }) };
  const enclave = generateRecipient();
  const pieces = [makePiece(), makePiece(), makePiece()];
  const failed = makePiece();
  for (const [index, piece] of pieces.entries()) {
    const { stored } = await dealIn(hsm, vault, piece, `birth-${index}`);
    t.equal(await opens(hsm, stored), true);
    t.same(await hsm.checkShards({ vault, shards: [stored, { ...stored, digest: failed.digest }, { ...stored, aad: info }, stored] }), [true, false, false, true]);
    const { enc, ct } = await hsm.releaseShard({ ...stored, recipient: enclave.publicKey, info, hpkeAad: aad });
    t.same(open(enclave, enc, info, aad, ct), piece.share, "the vault key and share are the known ones");
    await hsm.resealShards({ from: vault, to: next, shards: [stored] });
    await t.rejects(hsm.releaseShard({ ...stored, digest: failed.digest, recipient: enclave.publicKey, info, hpkeAad: aad }), { code: "SHARE_DIGEST_MISMATCH" });
  }
  // One whose deal fails, one that is closed with its piece pending, one whose vault is wrong.
  for (const id of ["failed", "closed"]) {
    const receiving = await hsm.openReceiving({ id });
    const piece = { id, ...seal(receiving, info, aad, concat(failed.share, failed.mask)), info, aad, digestPrefix: failed.digestPrefix, digest: failed.digest };
    await t.rejects(hsm.receivePiece({ ...piece, digestPrefix: aad }), { code: "SHARE_DIGEST_MISMATCH" });
    await hsm.receivePiece(piece);
    await hsm.checkValue({ id, seed: failed.digest, keyId: "key" });
    await t.rejects(hsm.commitPiece({ id, vault: { ...vault, generation: 2 }, aad }), { code: "VAULT_DAMAGED" });
    await hsm.closeReceiving({ id });
  }
  const challenge = new Uint8Array(randomBytes(32));
  await hsm.acceptChallengeSecret({ box: "box-1", generation: 1, ...seal(sealKey, info, new Uint8Array(0), challenge), info });
  await hsm.mac({ box: "box-1", message: aad });
  const made = await hsm.createChallengeSecret({ box: "box-2", recipient: enclave.publicKey, info });
  const secret = open(enclave, made.enc, info, new Uint8Array(0), made.ct);

  for (const [what, secrets] of Object.entries({ shares: [...pieces, failed].map(({ share }) => share), "the vault key": [vaultKey], "challenge secrets": [challenge, secret] })) {
    t.equal((await scanMemory(pid, secrets.flatMap(forms))).copies, 0, what);
  }
  await t.resolves(hsm.info(), "it goes on");
});

void t.test("nor of what a re-shard brings: shares, new shares, sub-shares, masks' pieces", async (t) => {
  if (softhsm === undefined) return t.pass("skipped", { skip: "SoftHSM is not installed" });
  const { hsm } = await freshHsm(t);
  await hsm.createSealKey({ generation: 1 });
  const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
  const scene = await Reshard.begin(hsm, vault, "scanned");
  /** By second halves: over the first 16 bytes of what is freed malloc writes its links. */
  const scan = async (what: string, secrets: readonly Uint8Array[]) => { t.equal((await scanMemory(hsm.pid!, secrets.map((secret) => secret.subarray(secret.length / 2)))).copies, 0, what); };
  const dealt: Uint8Array[] = [];
  /** Sub-shares and mask's piece of a holder's piece of two keys. */
  const keep = (piece: Uint8Array) => { dealt.push(piece.slice(0, 32), piece.slice(32, 64), piece.slice(64)); };

  const wire = await scene.deal();
  for (const dealer of dealerXs) {
    const piece = wire.holders.get(9)!.get(dealer)!;
    const { enc, ct, info } = piece;
    keep(openByEphemeral(await hsm.revealSeal(scene.accusation(dealer, 9, piece, bytes(16))), scene.joined.get(9)!, enc, info, info, ct));
  }
  // A deal to the test itself, which so knows every piece; and one that is refused at its last shard.
  const reader = generateRecipient();
  const args = scene.dealArgs(2);
  const mine = { ...args, id: "mine", holders: args.holders.map((to) => ({ ...to, recipient: reader.publicKey })) };
  await t.rejects(hsm.dealShards({ ...mine, shards: mine.shards.with(1, { ...mine.shards[1]!, digest: bytes(32) }) }), { code: "SHARE_DIGEST_MISMATCH" });
  for (const [index, { enc, ct }] of (await hsm.dealShards(mine)).holders.entries()) keep(open(reader, enc, mine.holders[index]!.info, mine.holders[index]!.info, ct));
  await hsm.closeDealing({ id: mine.id });
  // Each time at once: memory that was forgotten and then used again would show nothing.
  await scan("once dealt", dealt);
  // Pieces that the test made, in receiving keys that end before the check, after it, or that refuse one of them.
  for (const id of ["received", "checked", "refused"]) {
    const key = await hsm.openReceiving({ id });
    const pieces = [bytes(80), bytes(80)];
    pieces.forEach(keep);
    const dealers = pieces.map((piece, index) => ({ x: index + 1, holder: { ...seal(key, scene.transcript, scene.transcript, piece), info: scene.transcript } }));
    if (id === "refused") await t.rejects(hsm.receiveDealt({ id, keys: 2, dealers: [...dealers, { x: 3, holder: { ...dealers[0]!.holder, ct: bytes(96) } }] }), { code: "PIECE_INVALID" });
    else await hsm.receiveDealt({ id, keys: 2, dealers });
    if (id === "checked") {
      const share = await combineShares(pieces.map((piece, index) => ({ x: index + 1, y: piece.slice(0, 32) })), 2);
      dealt.push(share);
      await hsm.holderCheck({ id, transcript: scene.transcript, keys: scene.keysOf(1) });
    }
    await hsm.closeReceiving({ id });
    await scan(id, dealt.slice(-7));
  }
  await scene.receive(wire);
  const { verdict, digests } = await scene.check();
  t.match(verdict, { kind: "accepted" });
  const shares: Uint8Array[] = [];
  for (const x of newXs) shares.push(...await scene.commit(x, digests.get(x)!));
  await scan("keys and shares", [...scene.secrets, ...scene.shares, ...shares]);
  await scan("pieces, also before their receiving key is closed", dealt.slice(0, 9));
});
