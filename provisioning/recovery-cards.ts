import { createPrivateKey } from "node:crypto";
import { softwareSigner, type Signer } from "../agent/protocol/es256.ts";
import { bytesOf, toBase64url, utf8 } from "../agent/runtime/encoding.ts";
import { generateScalar, keyPairOf, type KeyPair } from "../agent/runtime/key-pair.ts";
import { equalBytes, secretBytes, wipe } from "../agent/runtime/secrets.ts";
import { combineShares, splitSecret } from "../agent/sharding/shamir.ts";
import { qrLetters, qrParts, qrText, type QrParts } from "./card-qr.ts";
import { missing, readCards, type Typing } from "./card-reader.ts";
import { CardError, encodeCard, isBetween, keyIdOf, type Card } from "./recovery-card.ts";

const newLine = 0x0a;

/** A recovery key, gone but for its cards; each text is in secret memory that the caller wipes. */
export interface MadeCards {
  readonly publicKey: string;
  readonly texts: readonly Uint8Array<ArrayBuffer>[];
}

/** Makes a key and splits it: any `threshold` of `cards` cards give it back. Throws as `splitSecret`. */
export async function makeCards(threshold: number, cards: number): Promise<MadeCards> {
  const parts = qrParts();
  const scalar = generateScalar();
  let pair: KeyPair | undefined;
  let shares: readonly Uint8Array<ArrayBuffer>[] = [];
  try {
    pair = keyPairOf(scalar);
    const { point } = pair;
    shares = await splitSecret(scalar, threshold, Array.from({ length: cards }, (_, i) => i + 1));
    return { publicKey: toBase64url(point), texts: shares.map((y, i) => textOf({ threshold, x: i + 1, keyId: keyIdOf(point), y }, cards, parts)) };
  } finally {
    wipe(scalar, pair?.pkcs8, ...shares);
  }
}

/** A card for a person. Lines that begin with # are not read when it is typed, or piped, again. */
function textOf(card: Card, cards: number, parts: QrParts): Uint8Array<ArrayBuffer> {
  const head = utf8(`# Shardkeep recovery card ${card.x} of ${cards}: any ${card.threshold} of them give a site new administrators.\n# Keep it as you keep a key; nobody but \`shardkeep site recover\` and \`site recovery-check\` asks for it.\n`);
  const rows = encodeCard(card);
  const letters = lettersOf(rows);
  const code = qrText(parts, letters);
  const text = secretBytes(head.length + rows.length + code.length);
  text.set(head);
  text.set(rows, head.length);
  text.set(code, head.length + rows.length);
  wipe(rows, letters, code);
  return text;
}

/** What the QR code says: the rows without what stands between. */
function lettersOf(rows: Uint8Array): Uint8Array<ArrayBuffer> {
  const letters = secretBytes(qrLetters);
  let length = 0;
  for (const letter of rows) if (letter !== newLine && !isBetween(letter)) letters[length++] = letter;
  return letters;
}

/** Reads the cards of the key `publicKey` until there are enough: what signs as that key. Throws {@link CardError}. */
export async function signerOfCards(lines: AsyncIterable<Uint8Array>, publicKey: string, typing: Typing): Promise<Signer> {
  const cards = await readCards(lines, { ...typing, keyId: keyIdOf(bytesOf(publicKey)), onCard: ({ threshold }, typed) => typed === threshold });
  try {
    if (cards.length !== cards[0]?.threshold) throw missing(cards.length);
    const { pkcs8 } = await pairOf(cards, publicKey);
    try {
      return softwareSigner(createPrivateKey({ key: Buffer.from(pkcs8.buffer), format: "der", type: "pkcs8" }));
    } finally {
      wipe(pkcs8);
    }
  } finally {
    wipe(...cards.map(({ y }) => y));
  }
}

export interface Checked {
  readonly cards: readonly number[];
  readonly threshold: number;
  /** The public key that they give; null where there are too few to tell. */
  readonly key: string | null;
}

/**
 * Reads cards until no more come: whether they are as they were printed, of one key (`publicKey`, if that is known), and
 * where there are enough, whether every one of them helps to give it. Throws {@link CardError}.
 */
export async function checkCards(lines: AsyncIterable<Uint8Array>, publicKey: string | undefined, typing: Typing & { readonly onCard: (card: Omit<Card, "y">) => void }): Promise<Checked> {
  const keyId = publicKey === undefined ? {} : { keyId: keyIdOf(bytesOf(publicKey)) };
  const cards = await readCards(lines, { ...typing, ...keyId, onCard: (card) => { typing.onCard(card); return false; } });
  try {
    const [first] = cards;
    if (first === undefined) throw missing(0);
    const { threshold } = first;
    let key: string | null = null;
    for (const last of cards.slice(threshold - 1)) {
      const { point, pkcs8 } = await pairOf([...cards.slice(0, threshold - 1), last], key ?? publicKey);
      wipe(pkcs8);
      key = toBase64url(point);
    }
    return { cards: cards.map(({ x }) => x), threshold, key };
  } finally {
    wipe(...cards.map(({ y }) => y));
  }
}

/** Of wrong shares any scalar may come, also one that is none. The pair is the caller's to wipe. Throws RECOVERY_CARDS_WRONG. */
async function pairOf(cards: readonly Card[], publicKey: string | undefined): Promise<KeyPair> {
  const scalar = await combineShares(cards, cards[0]?.threshold ?? 0);
  let pair: KeyPair | undefined;
  try {
    pair = keyPairOf(scalar);
    const { point } = pair;
    const isKey = publicKey === undefined ? cards.every(({ keyId }) => equalBytes(keyId, keyIdOf(point))) : toBase64url(point) === publicKey;
    if (!isKey) throw new TypeError("another key");
    return pair;
  } catch (cause) {
    wipe(pair?.pkcs8);
    throw new CardError("RECOVERY_CARDS_WRONG", "the cards together are not the recovery key", { cause, remedy: "one of them is not as it was printed: try it with another card in its place" });
  } finally {
    wipe(scalar);
  }
}
