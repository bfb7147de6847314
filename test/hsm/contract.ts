import { createHmac } from "node:crypto";
import type { Test } from "tap";
import type { Hsm } from "../../agent/hsm/client.ts";
import { applyMatrix, expandMatrix } from "../../agent/sharding/check.ts";
import { verifyEs256 } from "../../agent/protocol/es256.ts";
import { generateRecipient, open, seal } from "../../agent/protocol/seal.ts";
import { concat, toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { bytes, dealIn, makePiece, opens, sha256 } from "./pieces.ts";
import { reshardContract } from "./reshard-contract.ts";

const hmac = (key: Uint8Array, message: Uint8Array): Uint8Array => new Uint8Array(createHmac("sha256", key).update(sha256(message)).digest());
const [info, aad, noAad] = [utf8("info"), utf8("aad"), new Uint8Array(0)];

/**
 * What every HSM must do, on an empty token, in this order. The one suite for SoftHSM, other modules,
 * real devices and the HSM in memory.
 */
export function hsmContract(t: Test, hsm: Hsm): void {
  const refuses = (t: Test, call: Promise<unknown>, code: string, what: string) => t.rejects(call, { code }, what);

  void t.test("signing keys", async (t) => {
    const message = utf8("a statement");
    await refuses(t, hsm.selfTest(), "HSM_SELF_TEST_FAILED", "nothing to test with");
    await refuses(t, hsm.publicKey("identity"), "KEY_MISSING", "no key is made by asking for it");
    await refuses(t, hsm.sign("identity", message), "KEY_MISSING", "nor by signing");
    const identity = await hsm.createKey("identity");
    const authority = await hsm.createKey("authority");
    await refuses(t, hsm.createKey("identity"), "KEY_EXISTS", "made once");
    t.notSame(identity, authority);
    await hsm.reopen();
    t.same(await hsm.publicKey("identity"), identity, "the same after a re-initialisation");
    t.equal(identity.constructor, Uint8Array, "plain bytes");
    for (const message of [noAad, utf8("short"), bytes(65_536), bytes(1_048_576)]) {
      const signature = toBase64url(await hsm.sign("identity", message));
      t.ok(verifyEs256(toBase64url(identity), message, signature), `${message.length} bytes verify as ES256`);
      t.notOk(verifyEs256(toBase64url(authority), message, signature), "under this key only");
    }
    await t.resolves(hsm.selfTest());
  });

  void t.test("random bytes", async (t) => {
    for (const length of [1, 32, 1024]) t.equal((await hsm.random(length)).length, length);
    t.notSame(await hsm.random(32), await hsm.random(32));
  });

  void t.test("challenge secrets: coordinator's side", async (t) => {
    const box = generateRecipient();
    const message = utf8("nonce");
    await refuses(t, hsm.mac({ box: "box-1", message }), "KEY_MISSING", "no secret yet");
    const { enc, ct } = await hsm.createChallengeSecret({ box: "box-1", recipient: box.publicKey, info });
    const secret = open(box, enc, info, noAad, ct);
    t.equal(secret.length, 32);
    await refuses(t, hsm.createChallengeSecret({ box: "box-1", recipient: box.publicKey, info }), "KEY_EXISTS", "one a box");
    await refuses(t, hsm.createChallengeSecret({ box: "box-2", recipient: bytes(65), info }), "SEAL_INVALID", "a recipient off the curve");
    await refuses(t, hsm.mac({ box: "box-2", message }), "KEY_MISSING", "then nothing is stored");
    const mac = await hsm.mac({ box: "box-1", message });
    t.same(mac, hmac(secret, message), "HMAC-SHA-256 over SHA-256(message)");
    t.equal(await hsm.verifyMac({ box: "box-1", message, mac }), true);
    for (let index = 0; index < 32; index += 5) {
      const wrong = new Uint8Array(mac);
      wrong[index]! ^= 1;
      t.equal(await hsm.verifyMac({ box: "box-1", message, mac: wrong }), false);
    }
    t.equal(await hsm.verifyMac({ box: "box-1", message, mac: mac.subarray(1) }), false, "a short one");
    t.equal(await hsm.verifyMac({ box: "box-1", message: utf8("another"), mac }), false, "another message");
    await hsm.removeChallengeSecret({ box: "box-1" });
    await hsm.removeChallengeSecret({ box: "box-1" });
    await refuses(t, hsm.mac({ box: "box-1", message }), "KEY_MISSING", "removed");
    await hsm.createChallengeSecret({ box: "box-1", recipient: box.publicKey, info });
    t.notSame(await hsm.mac({ box: "box-1", message }), mac, "a new one is another one");
  });

  void t.test("challenge secrets: box's side", async (t) => {
    const box = "a-box-whose-name-is-of-32-letters";
    const name = box.slice(0, 32);
    const secret = bytes(32);
    const recipient = await hsm.createSealKey({ generation: 900 });
    const sealed = seal(recipient, info, noAad, secret);
    const args = { box: name, generation: 900, ...sealed, info };
    await refuses(t, hsm.acceptChallengeSecret({ ...args, info: aad }), "SEAL_INVALID", "sealed for another purpose");
    await refuses(t, hsm.acceptChallengeSecret({ ...args, generation: 901 }), "KEY_MISSING", "another seal key");
    await refuses(t, hsm.mac({ box: name, message: info }), "KEY_MISSING", "and nothing is stored");
    await hsm.acceptChallengeSecret(args);
    await refuses(t, hsm.acceptChallengeSecret(args), "KEY_EXISTS", "once");
    await hsm.reopen();
    t.same(await hsm.mac({ box: name, message: utf8("nonce") }), hmac(secret, utf8("nonce")));
    await hsm.destroySealKey({ generation: 900 });
  });

  void t.test("seal generations", async (t) => {
    t.same(await hsm.sealKeys(), []);
    const second = await hsm.createSealKey({ generation: 2 });
    await hsm.createSealKey({ generation: 10 });
    t.equal(second.length, 65);
    t.same(await hsm.sealKeys(), [2, 10]);
    await refuses(t, hsm.createSealKey({ generation: 2 }), "KEY_EXISTS", "one a generation");
    await refuses(t, hsm.createVault({ generation: 3 }), "KEY_MISSING", "no vault without its key");
    const vault = { generation: 2, ...await hsm.createVault({ generation: 2 }) };
    const { stored } = await dealIn(hsm, vault);
    t.equal(await opens(hsm, stored), true);
    await refuses(t, opens(hsm, { ...stored, vault: { ...vault, generation: 10 } }), "VAULT_DAMAGED", "another generation's key does not open it");
    await hsm.destroySealKey({ generation: 2 });
    await hsm.destroySealKey({ generation: 2 });
    t.same(await hsm.sealKeys(), [10]);
    await refuses(t, opens(hsm, stored), "KEY_MISSING", "what was sealed to it is gone for good");
    await hsm.createSealKey({ generation: 2 });
    await refuses(t, opens(hsm, stored), "VAULT_DAMAGED", "also if a key of that number is made again");
    await hsm.destroySealKey({ generation: 2 });
    await hsm.destroySealKey({ generation: 10 });
  });

  void t.test("a share on its way in", async (t) => {
    const id = "attempt-1";
    const { share, mask, digestPrefix, digest } = makePiece();
    const key = await hsm.openReceiving({ id });
    const piece = concat(share, mask);
    const receive = (change: Partial<{ info: Uint8Array; aad: Uint8Array; digest: Uint8Array; digestPrefix: Uint8Array }> = {}, plain: Uint8Array = piece) =>
      hsm.receivePiece({ id, ...seal(key, info, aad, plain), info, aad, digestPrefix, digest, ...change });
    await refuses(t, hsm.openReceiving({ id }), "RECEIVING_EXISTS", "one key an id");
    await refuses(t, hsm.checkValue({ id, seed: digest, keyId: "k" }), "PIECE_MISSING", "no piece, no check value");
    await refuses(t, receive({ aad: info }), "SEAL_INVALID", "another plan");
    await refuses(t, receive({ info: aad }), "SEAL_INVALID", "another purpose");
    await refuses(t, receive({ digest: bytes(32) }), "SHARE_DIGEST_MISMATCH", "not the recorded share");
    await refuses(t, receive({ digestPrefix: aad }), "SHARE_DIGEST_MISMATCH", "of another key");
    await refuses(t, receive({}, piece.subarray(1)), "PIECE_INVALID", "too short");
    await refuses(t, receive({}, concat(piece, noAad, Uint8Array.of(0))), "PIECE_INVALID", "too long");
    await receive();
    await refuses(t, receive(), "PIECE_EXISTS", "one piece a key");
    const expected = applyMatrix(expandMatrix(digest, "payroll"), share).map((byte, index) => byte ^ mask[index]!);
    t.same(await hsm.checkValue({ id, seed: digest, keyId: "payroll" }), new Uint8Array(expected), "R·share ⊕ mask");
    await refuses(t, hsm.checkValue({ id, seed: digest, keyId: "payroll" }), "CHECK_ALREADY_GIVEN", "once");
    await refuses(t, hsm.checkValue({ id, seed: bytes(32), keyId: "other" }), "CHECK_ALREADY_GIVEN", "nor for anything else");

    await hsm.createSealKey({ generation: 1 });
    const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
    const damaged = { ...vault, ct: bytes(48) };
    await refuses(t, hsm.commitPiece({ id, vault: damaged, aad }), "VAULT_DAMAGED", "a vault that does not open");
    const sealed = await hsm.commitPiece({ id, vault, aad });
    t.equal(await opens(hsm, { vault, sealed, aad, digestPrefix, digest }), true, "the failed commit had kept the piece");
    await refuses(t, hsm.commitPiece({ id, vault, aad }), "PIECE_MISSING", "the piece is gone once committed");
    await hsm.closeReceiving({ id });
    await hsm.closeReceiving({ id });
    await refuses(t, receive(), "RECEIVING_MISSING", "closed");
    for (let index = 0; index < 64; index++) await hsm.openReceiving({ id: `many-${index}` });
    await refuses(t, hsm.openReceiving({ id: "one-more" }), "RECEIVING_FULL", "64 at most");
    for (let index = 0; index < 64; index++) await hsm.closeReceiving({ id: `many-${index}` });
    await t.resolves(hsm.openReceiving({ id: "one-more" }));
    await hsm.closeReceiving({ id: "one-more" });
  });

  void t.test("a share at rest", async (t) => {
    const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
    const { share, stored } = await dealIn(hsm, vault);
    const { sealed } = stored;
    const enclave = generateRecipient();
    const to = { recipient: enclave.publicKey, info: utf8("release"), hpkeAad: utf8("request") };
    await hsm.reopen();
    t.equal(await opens(hsm, stored), true);
    const { enc, ct } = await hsm.releaseShard({ ...stored, ...to });
    t.same(open(enclave, enc, to.info, to.hpkeAad, ct), share, "the recipient gets the share");
    const spoil = (view: Uint8Array): Uint8Array => view.map((byte, index) => index === 3 ? byte ^ 0x10 : byte);
    for (const [what, changed, code] of [
      ["iv", { sealed: { ...sealed, iv: spoil(sealed.iv) } }, "SHARD_DAMAGED"],
      ["ct", { sealed: { ...sealed, ct: spoil(sealed.ct) } }, "SHARD_DAMAGED"],
      ["tag", { sealed: { ...sealed, tag: spoil(sealed.tag) } }, "SHARD_DAMAGED"],
      ["aad", { aad: utf8("another record") }, "SHARD_DAMAGED"],
      ["digest", { digest: spoil(stored.digest) }, "SHARE_DIGEST_MISMATCH"],
      ["digest prefix", { digestPrefix: utf8("another x") }, "SHARE_DIGEST_MISMATCH"],
    ] as const) {
      t.equal(await opens(hsm, { ...stored, ...changed }), false, `checked with another ${what}`);
      await refuses(t, hsm.releaseShard({ ...stored, ...changed, ...to }), code, `not released with another ${what}`);
    }
    await refuses(t, opens(hsm, { ...stored, vault: { ...vault, enc: bytes(65) } }), "VAULT_DAMAGED", "a vault off the curve");
    await refuses(t, hsm.releaseShard({ ...stored, ...to, recipient: bytes(65) }), "SEAL_INVALID", "a recipient off the curve");
  });

  void t.test("of a batch it is said for each whether it opens", async (t) => {
    const vault = { generation: 1, ...await hsm.createVault({ generation: 1 }) };
    const [first, second, third] = [await dealIn(hsm, vault), await dealIn(hsm, vault), await dealIn(hsm, vault)].map(({ stored }) => stored);
    t.same(await hsm.checkShards({ vault, shards: [first!, { ...second!, aad: info }, { ...third!, digest: first!.digest }, second!] }), [true, false, false, true]);
    t.same(await hsm.checkShards({ vault, shards: [] }), []);
    await refuses(t, hsm.checkShards({ vault: { ...vault, ct: bytes(48) }, shards: [] }), "VAULT_DAMAGED", "nothing is said without the vault");
  });

  void t.test("a whole batch moves to the next seal generation, or nothing", async (t) => {
    await hsm.createSealKey({ generation: 2 });
    const [from, to] = [{ generation: 1, ...await hsm.createVault({ generation: 1 }) }, { generation: 2, ...await hsm.createVault({ generation: 2 }) }];
    const dealt = [await dealIn(hsm, from), await dealIn(hsm, from), await dealIn(hsm, from)];
    const shards = dealt.map(({ stored: { sealed, aad } }) => ({ sealed, aad }));
    await refuses(t, hsm.resealShards({ from, to, shards: [...shards, { sealed: shards[0]!.sealed, aad: info }] }), "SHARD_DAMAGED", "one is mislaid");
    const moved = await hsm.resealShards({ from, to, shards });
    await hsm.reopen();
    await hsm.destroySealKey({ generation: 1 });
    for (const [index, { stored }] of dealt.entries()) {
      t.equal(await opens(hsm, { ...stored, vault: to, sealed: moved[index]! }), true, "opens under the new vault");
      await refuses(t, opens(hsm, stored), "KEY_MISSING", "and no more under the old");
    }
    t.same(await hsm.resealShards({ from: to, to, shards: [] }), []);
    await hsm.destroySealKey({ generation: 2 });
  });

  reshardContract(t, hsm);
}
