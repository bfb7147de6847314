import type { BatchShard, DealtBox, DealtPieces, Hsm } from "../../agent/hsm/client.ts";
import { generateRecipient, open } from "../../agent/protocol/seal.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { judge, type Verdict } from "../../agent/sharding/reshare.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import { bytes, dealIn, sha256 } from "./pieces.ts";

/**
 * A re-shard of a batch of keys, every box of it one HSM's: 3 of the old holders 1 to 5 deal, all of them witness,
 * the new ones are 1 to 4 and 9. Only calls of the HSM and public values; the test may change what is on the wire.
 */
export const [threshold, oldXs, newXs, dealerXs] = [3, [1, 2, 3, 4, 5], [1, 2, 3, 4, 9], [2, 3, 5]] as const;

type Vault = Parameters<Hsm["createVault"]>[0] & Awaited<ReturnType<Hsm["createVault"]>>;
export type KeyShard = BatchShard & { readonly keyId: string };
type Boxes = Map<number, Map<number, DealtBox>>;

/** What is on the wire: by the recipient's x, then the dealer's. */
export interface Wire {
  readonly holders: Boxes;
  readonly witnesses: Boxes;
}

export class Reshard {
  readonly hsm: Hsm;
  readonly vault: Vault;
  readonly attempt: string;
  readonly secrets: readonly Uint8Array[];
  /** By old x: that holder's shards, in the order of the keys. */
  readonly stored: ReadonlyMap<number, readonly KeyShard[]>;
  readonly joined = new Map<number, Uint8Array>();
  readonly transcript = bytes(32);
  /** All of `stored`, in clear. */
  readonly shares: Uint8Array[] = [];

  private constructor(hsm: Hsm, vault: Vault, attempt: string, secrets: readonly Uint8Array[], stored: ReadonlyMap<number, readonly KeyShard[]>) {
    [this.hsm, this.vault, this.attempt, this.secrets, this.stored] = [hsm, vault, attempt, secrets, stored];
  }

  /** Epoch 1 of `keyCount` keys under the vault, and everybody's receiving key. */
  static async begin(hsm: Hsm, vault: Vault, attempt: string, keyCount = 2): Promise<Reshard> {
    const secrets = Array.from({ length: keyCount }, () => bytes(32));
    const stored = new Map<number, KeyShard[]>(oldXs.map((x) => [x, []]));
    const plain: Uint8Array[] = [];
    for (const [key, secret] of secrets.entries()) {
      const shares = await splitSecret(secret, threshold, oldXs);
      plain.push(...shares);
      for (const [index, x] of oldXs.entries()) {
        const digestPrefix = utf8(`key-${key} at ${x}`);
        const piece = { share: shares[index]!, mask: new Uint8Array(16), digestPrefix, digest: sha256(digestPrefix, shares[index]!) };
        stored.get(x)!.push({ ...(await dealIn(hsm, vault, piece, `${attempt}-birth`)).stored, keyId: `key-${key}` });
      }
    }
    const scene = new Reshard(hsm, vault, attempt, secrets, stored);
    scene.shares.push(...plain);
    for (const x of new Set([...oldXs, ...newXs])) scene.joined.set(x, await hsm.openReceiving({ id: scene.box(x) }));
    return scene;
  }

  box(x: number): string { return `${this.attempt}-${x}`; }
  dealing(x: number): string { return `${this.attempt}-deal-${x}`; }
  /** What a dealer asks when holder `x` published `published` about `piece`. */
  accusation(dealer: number, x: number, piece: DealtBox, published: Uint8Array): Parameters<Hsm["revealSeal"]>[0] {
    return { id: this.dealing(dealer), x, recipient: this.joined.get(x)!, ...piece, transcript: this.transcript, keyIds: this.keysOf(x).map(({ keyId }) => keyId), published };
  }

  info(dealer: number, recipient: number, role: string): Uint8Array { return utf8(`${this.attempt}: ${dealer} to ${role} ${recipient}`); }

  dealArgs(dealer: number): Parameters<Hsm["dealShards"]>[0] {
    const to = (xs: readonly number[], role: string) => xs.map((x) => ({ x, recipient: this.joined.get(x)!, info: this.info(dealer, x, role) }));
    return { id: this.dealing(dealer), vault: this.vault, shards: this.stored.get(dealer)!, t: threshold, nextT: threshold, holders: to(newXs, "holder"), witnesses: to(oldXs, "witness") };
  }

  /** All dealers deal. */
  async deal(): Promise<Wire> {
    const empty = (xs: readonly number[]): Boxes => new Map(xs.map((x) => [x, new Map<number, DealtBox>()]));
    const wire: Wire = { holders: empty(newXs), witnesses: empty(oldXs) };
    for (const dealer of dealerXs) {
      const args = this.dealArgs(dealer);
      const dealt = await this.hsm.dealShards(args);
      for (const role of ["holders", "witnesses"] as const) {
        for (const [index, { x, info }] of args[role].entries()) wire[role].get(x)!.set(dealer, { ...dealt[role][index]!, info });
      }
    }
    return wire;
  }

  /** What `x` was sent. */
  pieces(wire: Wire, x: number, dealers: readonly number[] = dealerXs): DealtPieces[] {
    return dealers.map((dealer) => ({ x: dealer, holder: wire.holders.get(x)?.get(dealer), witness: wire.witnesses.get(x)?.get(dealer) }));
  }

  async receive(wire: Wire): Promise<void> {
    for (const x of this.joined.keys()) await this.hsm.receiveDealt({ id: this.box(x), keys: this.secrets.length, dealers: this.pieces(wire, x) });
  }

  keysOf(x: number): { keyId: string; digestPrefix: Uint8Array }[] {
    return this.secrets.map((_, key) => ({ keyId: `key-${key}`, digestPrefix: utf8(`key-${key} at new ${x}`) }));
  }

  holderCheck(x: number): ReturnType<Hsm["holderCheck"]> {
    return this.hsm.holderCheck({ id: this.box(x), transcript: this.transcript, keys: this.keysOf(x) });
  }

  witnessCheck(x: number): Promise<Uint8Array> {
    return this.hsm.witnessCheck({ id: this.box(x), transcript: this.transcript, vault: this.vault, shards: this.stored.get(x)! });
  }

  /** Everybody's check, the verdict on it, and the digests by new x. */
  async check(): Promise<{ verdict: Verdict; values: Map<number, Uint8Array[]>; digests: Map<number, Uint8Array[]> }> {
    const [values, digests] = [new Map<number, Uint8Array[]>(), new Map<number, Uint8Array[]>()];
    for (const x of newXs) {
      const given = await this.holderCheck(x);
      values.set(x, given.values);
      digests.set(x, given.digests);
    }
    const verdict = await judge({
      t: threshold,
      nextT: threshold,
      witnesses: await Promise.all(oldXs.map(async (x) => ({ x, y: await this.witnessCheck(x) }))),
      dealers: dealerXs.map((x, index) => ({ x, values: newXs.map((holder) => ({ x: holder, y: values.get(holder)![index]! })) })),
    });
    return { verdict, values, digests };
  }

  commitArgs(x: number, digests: readonly Uint8Array[]): Parameters<Hsm["commitDealt"]>[0] {
    const shards = this.keysOf(x).map(({ digestPrefix }, index) => ({ aad: utf8(`next of key-${index} at ${x}`), digestPrefix, digest: digests[index]! }));
    return { id: this.box(x), vault: this.vault, shards };
  }

  /** Commits `x`'s new shares, and has each released from its vault. */
  async commit(x: number, digests: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const args = this.commitArgs(x, digests);
    const reader = generateRecipient();
    const shares: Uint8Array[] = [];
    for (const [index, sealed] of (await this.hsm.commitDealt(args)).entries()) {
      const box = await this.hsm.releaseShard({ ...args.shards[index]!, vault: this.vault, sealed, recipient: reader.publicKey, info: utf8("r"), hpkeAad: utf8("a") });
      shares.push(open(reader, box.enc, utf8("r"), utf8("a"), box.ct));
    }
    return shares;
  }

  async close(): Promise<void> {
    for (const x of this.joined.keys()) await this.hsm.closeReceiving({ id: this.box(x) });
    for (const x of dealerXs) await this.hsm.closeDealing({ id: this.dealing(x) });
  }
}
