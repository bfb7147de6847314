import type { Test } from "tap";
import type { DealtPieces, Hsm } from "../../agent/hsm/client.ts";
import { generateRecipient, open, openByEphemeral, seal } from "../../agent/protocol/seal.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { expandMatrix } from "../../agent/sharding/check.ts";
import { holderValue } from "../../agent/sharding/reshare.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { bytes } from "./pieces.ts";
import { dealerXs, newXs, oldXs, Reshard, threshold } from "./reshard-scene.ts";

/** What every HSM must do in a re-shard of a batch of keys (protocol.md §7). Part of the contract of contract.ts. */
export function reshardContract(t: Test, hsm: Hsm): void {
  const refuses = (t: Test, call: Promise<unknown>, code: string, what: string) => t.rejects(call, { code }, what);
  const begin = async (attempt: string, keyCount?: number) => {
    if (!(await hsm.sealKeys()).includes(1)) await hsm.createSealKey({ generation: 1 });
    return await Reshard.begin(hsm, { generation: 1, ...await hsm.createVault({ generation: 1 }) }, attempt, keyCount);
  };

  void t.test("a whole re-shard of two keys, with one new holder", async (t) => {
    const scene = await begin("whole");
    await scene.receive(await scene.deal());
    const { verdict, digests } = await scene.check();
    t.same(verdict, { kind: "accepted", proven: true });
    const shares = new Map<number, Uint8Array[]>();
    for (const x of newXs) shares.set(x, await scene.commit(x, digests.get(x)!));
    for (const [key, secret] of scene.secrets.entries()) {
      for (const xs of [newXs.slice(0, threshold), newXs.slice(-threshold)]) {
        t.same(await combineShares(xs.map((x) => ({ x, y: shares.get(x)![key]! })), threshold), secret, `${xs.join()} hold key ${key}`);
      }
    }
    await scene.close();
  });

  void t.test("a deal: once, all of it or nothing", async (t) => {
    const scene = await begin("deal");
    const args = scene.dealArgs(2);
    const [one, two] = args.shards;
    const off = { ...one!, digest: two!.digest };
    for (const [what, change, code] of [
      ["a shard that is not the one in the record", { shards: [one!, { ...two!, digest: bytes(32) }] }, "SHARE_DIGEST_MISMATCH"],
      ["another key's digest", { shards: [off, two!] }, "SHARE_DIGEST_MISMATCH"],
      ["another record's digest prefix", { shards: [{ ...one!, digestPrefix: utf8("other") }, two!] }, "SHARE_DIGEST_MISMATCH"],
      ["a damaged shard", { shards: [one!, { ...two!, sealed: { ...two!.sealed, ct: bytes(32) } }] }, "SHARD_DAMAGED"],
      ["a mislaid shard", { shards: [one!, { ...two!, aad: utf8("other") }] }, "SHARD_DAMAGED"],
      ["another vault", { vault: { ...args.vault, ct: bytes(48) } }, "VAULT_DAMAGED"],
      ["a holder off the curve", { holders: args.holders.with(4, { ...args.holders[4]!, recipient: bytes(65) }) }, "SEAL_INVALID"],
      ["a witness off the curve", { witnesses: args.witnesses.with(4, { ...args.witnesses[4]!, recipient: bytes(65) }) }, "SEAL_INVALID"],
      ["one holder twice", { holders: args.holders.with(1, args.holders[0]!) }, "SHARE_X_DUPLICATE"],
      ["one witness twice", { witnesses: args.witnesses.with(1, args.witnesses[0]!) }, "SHARE_X_DUPLICATE"],
      ["x = 0", { holders: args.holders.with(1, { ...args.holders[1]!, x: 0 }) }, "SHARE_X_INVALID"],
      ["too few holders", { holders: args.holders.slice(0, 2) }, "SHARE_COUNT"],
      ["too few witnesses", { witnesses: args.witnesses.slice(0, 2) }, "SHARE_COUNT"],
      ["a threshold of one", { nextT: 1 }, "THRESHOLD_INVALID"],
    ] as const) {
      await refuses(t, hsm.dealShards({ ...args, ...change }), code, what);
      await refuses(t, hsm.revealSeal({ ...scene.accusation(2, 9, { enc: bytes(65), ct: bytes(96), info: bytes(1) }, bytes(16)), id: args.id }), "DEALING_MISSING", "and nothing is kept of it");
    }
    const { holders, witnesses } = await hsm.dealShards(args);
    t.same([holders.length, witnesses.length], [newXs.length, oldXs.length], "the refused ones were no deal");
    t.same([holders[0]!.ct.length, witnesses[0]!.ct.length], [2 * 32 + 16 + 16, 16 + 16], "sub-shares, mask, tag");
    await refuses(t, hsm.dealShards(args), "DEAL_ALREADY_GIVEN", "the same again");
    await refuses(t, hsm.dealShards({ ...args, nextT: 2, shards: [one!] }), "DEAL_ALREADY_GIVEN", "or another");
    await scene.close();
    await t.resolves(hsm.dealShards(args), "a closed one is forgotten: its attempt has ended");
    await hsm.closeDealing({ id: args.id });

    const { publicKey } = generateRecipient();
    const [a, b] = [{ x: 1, recipient: publicKey, info: utf8("a") }, { x: 2, recipient: publicKey, info: utf8("b") }];
    const small = (index: number) => hsm.dealShards({ id: `many-${index}`, vault: args.vault, shards: [one!], t: 2, nextT: 2, holders: [a, b], witnesses: [a, b] });
    for (let index = 0; index < 64; index++) await small(index);
    await refuses(t, small(64), "DEALING_FULL", "64 at most");
    for (let index = 0; index < 64; index++) await hsm.closeDealing({ id: `many-${index}` });
  });

  void t.test("each recipient's piece is its own: sub-shares of every key in order, then the mask; t and t' may differ", async (t) => {
    const scene = await begin("order");
    const reader = generateRecipient();
    const nextT = threshold + 1;
    const subShares: Uint8Array[][] = [];
    for (const dealer of dealerXs) {
      const args = scene.dealArgs(dealer);
      const toReader = (to: typeof args.holders) => to.map((one) => ({ ...one, recipient: reader.publicKey }));
      const dealt = await hsm.dealShards({ ...args, nextT, holders: toReader(args.holders), witnesses: toReader(args.witnesses) });
      const opened = (role: "holders" | "witnesses") => dealt[role].map(({ enc, ct }, index) => {
        const { x, info } = args[role][index]!;
        return { x, piece: open(reader, enc, info, info, ct) };
      });
      const [holders, witnesses] = [opened("holders"), opened("witnesses")];
      const atZero = (pieces: typeof holders, count: number, from: number, to: number) =>
        combineShares(pieces.slice(-count).map(({ x, piece }) => ({ x, y: piece.slice(from, to) })), count);
      const mask = await atZero(witnesses, threshold, 0, 16);
      t.same(await atZero(witnesses, threshold + 1, 0, 16), mask, "the mask, of degree below t, to the witnesses");
      t.same(await atZero(holders, nextT, 64, 80), mask, "and the same to the holders");
      t.same(await atZero(holders, nextT + 1, 64, 80), mask, "of degree below t'");
      t.notSame(await atZero(holders, nextT - 1, 64, 80), mask, "and no lower");
      t.notSame(await atZero(holders, nextT - 1, 0, 32), await atZero(holders, nextT, 0, 32), "nor the sub-shares");
      subShares.push([await atZero(holders, nextT, 0, 32), await atZero(holders, nextT, 32, 64)]);
    }
    for (const [key, secret] of scene.secrets.entries()) {
      t.same(await combineShares(dealerXs.map((x, index) => ({ x, y: subShares[index]![key]! })), threshold), secret, `they hold the dealers' shares of key ${key}`);
    }
    await scene.close();
  });

  void t.test("what dealers sent: all of it or nothing, once", async (t) => {
    const scene = await begin("receive");
    const other = await begin("other");
    const [wire, otherWire] = [await scene.deal(), await other.deal()];
    const pieces = scene.pieces(wire, 4);
    const [first, second, third] = pieces as [DealtPieces, DealtPieces, DealtPieces];
    const receive = (dealers: readonly DealtPieces[], keys = 2) => hsm.receiveDealt({ id: scene.box(4), keys, dealers });
    const sealed = (length: number) => ({ ...seal(scene.joined.get(4)!, second.holder!.info, second.holder!.info, bytes(length)), info: second.holder!.info });
    for (const [what, dealers] of [
      ["damaged", [first, { ...second, holder: { ...second.holder!, ct: second.holder!.ct.map((byte, index) => index === 40 ? byte ^ 1 : byte) } }, third]],
      ["a witness's, damaged", [first, { ...second, witness: { ...second.witness!, ct: bytes(32) } }, third]],
      ["in another context", [first, { ...second, holder: { ...second.holder!, info: utf8("another plan") } }, third]],
      ["with two dealers' exchanged", [first, { ...second, holder: { ...third.holder!, info: second.holder!.info } }, { ...third, holder: { ...second.holder!, info: third.holder!.info } }]],
      ["of another holder", [first, { ...second, holder: wire.holders.get(3)!.get(3) }, third]],
      ["of another attempt", [first, { ...second, holder: otherWire.holders.get(4)!.get(3) }, third]],
      ["a witness's for a holder's", [first, { ...second, holder: second.witness }, third]],
      ["a byte short", [first, { ...second, holder: sealed(79) }, third]],
      ["a byte long", [first, { ...second, holder: sealed(81) }, third]],
      ["without a tag", [first, { ...second, holder: { ...second.holder!, ct: bytes(15) } }, third]],
      ["off the curve", [first, { ...second, holder: { ...second.holder!, enc: bytes(65) } }, third]],
      ["left out", [first, { ...second, holder: undefined }, third]],
      ["of no kind", [{ x: 2, holder: first.holder }, { x: 3 }, { x: 5, holder: third.holder }]],
    ] as const) {
      await t.rejects(receive(dealers), { code: "PIECE_INVALID", message: /dealer 3 / }, `${what}: the dealer is named`);
      await refuses(t, scene.holderCheck(4), "PIECE_MISSING", "and nothing is kept");
    }
    await t.rejects(receive(dealerXs.map((x) => ({ x }))), { code: "PIECE_INVALID", message: /dealer 2 / }, "nothing from anybody");
    for (const keys of [1, 3]) await t.rejects(receive(pieces, keys), { code: "PIECE_INVALID", message: /dealer 2 / }, `for ${keys} keys`);
    await refuses(t, receive([first, second, { ...third, x: 2 }]), "SHARE_X_DUPLICATE", "one dealer twice");
    await refuses(t, receive([first, second, { ...third, x: 0 }]), "SHARE_X_INVALID", "x = 0");
    await refuses(t, receive([first]), "THRESHOLD_INVALID", "one dealer is no sharing");
    await receive(pieces);
    await refuses(t, receive(pieces), "DEALT_ALREADY", "once");
    await refuses(t, hsm.receiveDealt({ id: "nobody", keys: 2, dealers: pieces }), "RECEIVING_MISSING", "without a receiving key");
    await scene.close();
    await refuses(t, receive(pieces), "RECEIVING_MISSING", "closed");
    await other.close();
  });

  void t.test("the checks and the commit: in their order, once", async (t) => {
    const scene = await begin("steps");
    const wire = await scene.deal();
    const digests = [bytes(32), bytes(32)];
    const commit = (x: number, digests: readonly Uint8Array[]) => hsm.commitDealt(scene.commitArgs(x, digests));
    await refuses(t, scene.holderCheck(4), "PIECE_MISSING", "no check before the pieces");
    await refuses(t, scene.witnessCheck(4), "PIECE_MISSING", "nor as a witness");
    await refuses(t, commit(4, digests), "PIECE_MISSING", "nor a commit");
    await scene.receive(wire);
    await refuses(t, commit(4, digests), "CHECK_MISSING", "no commit before the check");
    await refuses(t, scene.holderCheck(5), "PIECE_MISSING", "5 is a witness only");
    await refuses(t, commit(5, digests), "PIECE_MISSING", "and has nothing to store");
    await refuses(t, hsm.witnessCheck({ id: scene.box(9), transcript: scene.transcript, vault: scene.vault, shards: scene.stored.get(4)! }), "PIECE_MISSING", "9 is a new holder only");

    const check = { id: scene.box(4), transcript: scene.transcript, keys: scene.keysOf(4) };
    await refuses(t, hsm.holderCheck({ ...check, keys: check.keys.slice(1) }), "PIECE_INVALID", "another number of keys");
    const given = await hsm.holderCheck(check);
    await refuses(t, hsm.holderCheck(check), "CHECK_ALREADY_GIVEN", "once");
    await refuses(t, hsm.holderCheck({ ...check, transcript: bytes(32) }), "CHECK_ALREADY_GIVEN", "nor for another transcript");

    const witness = { id: scene.box(4), transcript: scene.transcript, vault: scene.vault, shards: scene.stored.get(4)! };
    await refuses(t, hsm.witnessCheck({ ...witness, shards: witness.shards.slice(1) }), "PIECE_INVALID", "another number of keys");
    await refuses(t, hsm.witnessCheck({ ...witness, shards: witness.shards.with(0, { ...witness.shards[0]!, digest: bytes(32) }) }), "SHARE_DIGEST_MISMATCH", "not the shard in the record");
    await refuses(t, hsm.witnessCheck({ ...witness, vault: { ...scene.vault, ct: bytes(48) } }), "VAULT_DAMAGED", "another vault");
    await t.resolves(hsm.witnessCheck(witness), "none of these was a check");
    await refuses(t, hsm.witnessCheck(witness), "CHECK_ALREADY_GIVEN", "once");
    await refuses(t, hsm.witnessCheck({ ...witness, transcript: bytes(32) }), "CHECK_ALREADY_GIVEN", "nor for another transcript");

    await refuses(t, commit(4, given.digests.toReversed()), "SHARE_DIGEST_MISMATCH", "the digests are those of the check");
    await refuses(t, commit(4, given.digests.with(1, bytes(32))), "SHARE_DIGEST_MISMATCH", "of every key");
    const args = scene.commitArgs(4, given.digests);
    await refuses(t, hsm.commitDealt({ ...args, shards: args.shards.slice(1) }), "PIECE_INVALID", "another number of keys");
    await refuses(t, hsm.commitDealt({ ...args, vault: { ...args.vault, ct: bytes(48) } }), "VAULT_DAMAGED", "a vault that does not open");
    const sealed = await hsm.commitDealt(args);
    const shards = args.shards.map((shard, index) => ({ ...shard, sealed: sealed[index]! }));
    t.same(await hsm.checkShards({ vault: args.vault, shards }), shards.map(() => true), "the failed ones had kept it");
    await refuses(t, hsm.commitDealt(args), "PIECE_MISSING", "gone once committed");
    await refuses(t, scene.holderCheck(4), "CHECK_ALREADY_GIVEN", "and the check is not given again");
    await scene.close();
    await refuses(t, hsm.commitDealt(args), "RECEIVING_MISSING", "closed");
    await refuses(t, scene.holderCheck(3), "RECEIVING_MISSING", "its pieces with it");
  });

  void t.test("a dealer that deals a holder something else: the pair is accused, and one revealed seal shows who lied", async (t) => {
    const scene = await begin("accused");
    const wire = await scene.deal();
    const honest = wire.holders.get(9)!.get(3)!;
    wire.holders.get(9)!.set(3, { ...seal(scene.joined.get(9)!, honest.info, honest.info, bytes(80)), info: honest.info });
    await scene.receive(wire);
    const { verdict, values } = await scene.check();
    t.same(verdict, { kind: "dealers-off-degree", pairs: [{ dealer: 3, holder: 9 }] });

    const published = values.get(9)![1]!;
    const reveal = (x: number, piece = honest) => hsm.revealSeal({ ...scene.accusation(3, 9, piece, published), x });
    const matching = wire.holders.get(4)!.get(3)!;
    await refuses(t, hsm.revealSeal(scene.accusation(3, 4, matching, values.get(4)![1]!)), "CHECK_MATCHES", "an honest holder's seal is never opened");
    await refuses(t, reveal(9, matching), "SEAL_INVALID", "nor by another piece");
    await refuses(t, reveal(77), "PIECE_MISSING", "no such holder");
    await refuses(t, reveal(5), "PIECE_MISSING", "witnesses' pieces are not revealed");
    const ephemeral = await reveal(9);
    const matrices = scene.keysOf(9).map(({ keyId }) => expandMatrix(scene.transcript, keyId));
    const value = (piece: Uint8Array) => holderValue(matrices.map((matrix, key) => ({ matrix, share: piece.slice(32 * key, 32 * key + 32) })), piece.slice(64));
    const opened = openByEphemeral(ephemeral, scene.joined.get(9)!, honest.enc, honest.info, honest.info, honest.ct);
    t.notSame(value(opened), values.get(9)![1], "what was sealed first is not what 9 answered to");
    const sent = wire.holders.get(9)!.get(3)!;
    t.throws(() => openByEphemeral(ephemeral, scene.joined.get(9)!, sent.enc, sent.info, sent.info, sent.ct), { code: "SEAL_INVALID" }, "and it opens no other seal");
    t.same(await reveal(9), ephemeral, "the same again");
    await refuses(t, reveal(4), "REVEAL_ALREADY_GIVEN", "one a deal");
    const other = scene.accusation(2, 9, wire.holders.get(9)!.get(2)!, bytes(16));
    t.not(Buffer.compare(await hsm.revealSeal(other), ephemeral), 0);
    await refuses(t, hsm.revealSeal({ ...other, id: "nobody" }), "DEALING_MISSING", "no such deal");
    await scene.close();
    await scene.close();
    await refuses(t, reveal(9), "DEALING_MISSING", "closed");
  });

  void t.test("dealers under each other's x are not accepted", async (t) => {
    const scene = await begin("exchanged");
    const wire = await scene.deal();
    for (const boxes of [...wire.holders.values(), ...wire.witnesses.values()]) {
      const [two, three] = [boxes.get(2)!, boxes.get(3)!];
      boxes.set(2, three).set(3, two);
    }
    await scene.receive(wire);
    t.same((await scene.check()).verdict, { kind: "sums-differ" });
    await scene.close();
    await hsm.destroySealKey({ generation: 1 });
  });
}
