import { createPrivateKey } from "node:crypto";
import { softwareSigner, type Signer } from "../agent/protocol/es256.ts";
import { bytesOf, toBase64url, utf8 } from "../agent/runtime/encoding.ts";
import { generateScalar, keyPairOf, type KeyPair } from "../agent/runtime/key-pair.ts";
import { equalBytes, secretBytes, secretCopy, wipe } from "../agent/runtime/secrets.ts";
import { combineShares, splitSecret } from "../agent/sharding/shamir.ts";
import { CardError, cardRows, encodeCard, keyIdOf, TypedCard, type Card } from "./recovery-card.ts";

/** A recovery key, gone but for its cards; each text is in secret memory that the caller wipes. */
export interface MadeCards {
  readonly publicKey: string;
  readonly texts: readonly Uint8Array<ArrayBuffer>[];
}

/** Makes a key and splits it: any `threshold` of `cards` cards give it back. Throws as `splitSecret`. */
export async function makeCards(threshold: number, cards: number): Promise<MadeCards> {
  const scalar = generateScalar();
  let pair: KeyPair | undefined;
  let shares: readonly Uint8Array<ArrayBuffer>[] = [];
  try {
    pair = keyPairOf(scalar);
    const { point } = pair;
    shares = await splitSecret(scalar, threshold, Array.from({ length: cards }, (_, i) => i + 1));
    return { publicKey: toBase64url(point), texts: shares.map((y, i) => textOf({ threshold, x: i + 1, keyId: keyIdOf(point), y }, cards)) };
  } finally {
    wipe(scalar, pair?.pkcs8, ...shares);
  }
}

/** A card for a person. Lines that begin with # are not read when it is typed, or piped, again. */
function textOf(card: Card, cards: number): Uint8Array<ArrayBuffer> {
  const head = utf8(`# Shardkeep recovery card ${card.x} of ${cards}: any ${card.threshold} of them give a site new administrators.\n# Keep it as you keep a key; nobody but \`shardkeep site recover\` asks for it.\n`);
  const rows = encodeCard(card);
  const text = secretBytes(head.length + rows.length);
  text.set(head);
  text.set(rows, head.length);
  wipe(rows);
  return text;
}

export interface Typing {
  /** Says which row is wanted. */
  readonly ask: (words: string) => void;
  /** Whether what was mistyped may be typed again; else it is thrown. */
  readonly isPatient: boolean;
}

/** Reads the cards of the key `publicKey` until there are enough: what signs as that key. Throws {@link CardError}. */
export async function signerOfCards(lines: AsyncIterable<Uint8Array>, publicKey: string, { ask, isPatient }: Typing): Promise<Signer> {
  const keyId = keyIdOf(bytesOf(publicKey));
  const cards: Card[] = [];
  let typed = new TypedCard();
  const want = (): void => { ask(`card ${cards.length + 1}${cards[0] === undefined ? "" : ` of ${cards[0].threshold}`}, row ${typed.row + 1} of ${cardRows}:`); };
  try {
    want();
    for await (const line of lines) {
      try {
        if (line.length === 0 || line[0] === 0x23) continue;
        typed.type(line);
        if (typed.row === 1) requireFitting(typed.head, keyId, cards);
      } catch (error) {
        if (!isPatient || !(error instanceof CardError)) throw error;
        ask(error.message);
        if (error.code !== "RECOVERY_CARD_MISTYPED") typed = another(typed);
      } finally {
        wipe(line);
      }
      if (typed.row === cardRows) {
        cards.push(typed.end());
        typed = another(typed);
        if (cards.length === cards[0]?.threshold) return await signerOf(cards, publicKey);
      }
      want();
    }
    throw new CardError("RECOVERY_CARDS_MISSING", `${cards.length} whole card(s), and no more come`, { remedy: "type as many cards as the first one says, or pipe their files" });
  } finally {
    typed.wipe();
    wipe(...cards.map(({ y }) => y));
  }
}

function another(typed: TypedCard): TypedCard {
  typed.wipe();
  return new TypedCard();
}

/** A card of another key, or one that is there already, is refused at its first row. */
function requireFitting({ keyId, x, threshold }: Omit<Card, "y">, wanted: Uint8Array, cards: readonly Card[]): void {
  if (!equalBytes(keyId, wanted) || (cards[0] !== undefined && threshold !== cards[0].threshold)) {
    throw new CardError("RECOVERY_CARD_FOREIGN", "this card is of another recovery key than the site record names", { remedy: "find the cards that were made last; `shardkeep site show` has the key's fingerprint" });
  }
  if (cards.some((card) => card.x === x)) throw new CardError("RECOVERY_CARD_REPEATED", `card ${x} has been typed already`, { remedy: "type another card" });
}

/** Of wrong shares any scalar may come, also one that is none. Throws RECOVERY_CARDS_WRONG. */
async function signerOf(cards: readonly Card[], publicKey: string): Promise<Signer> {
  const scalar = await combineShares(cards, cards[0]?.threshold ?? 0);
  let pair: KeyPair | undefined;
  try {
    pair = keyPairOf(scalar);
    if (toBase64url(pair.point) !== publicKey) throw new TypeError("another key");
    return softwareSigner(createPrivateKey({ key: Buffer.from(pair.pkcs8.buffer), format: "der", type: "pkcs8" }));
  } catch (cause) {
    throw new CardError("RECOVERY_CARDS_WRONG", "the cards together are not the recovery key", { cause, remedy: "one of them is not as it was printed: try it with another card in its place" });
  } finally {
    wipe(scalar, pair?.pkcs8);
  }
}

const mostLineBytes = 256;

/** What is typed, line by line, each in secret memory that the reader wipes; an over-long line is cut, which no card is. */
export async function* secretLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const line = secretBytes(mostLineBytes);
  let length = 0;
  try {
    for await (const part of input) {
      try {
        for (const byte of part) {
          if (byte === 0x0a) {
            yield secretCopy(line.subarray(0, length));
            length = 0;
          } else if (length < mostLineBytes) line[length++] = byte;
        }
      } finally {
        wipe(part);
      }
    }
    if (length > 0) yield secretCopy(line.subarray(0, length));
  } finally {
    wipe(line);
  }
}
