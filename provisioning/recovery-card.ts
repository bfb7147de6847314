import { createHash } from "node:crypto";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { secretBytes, wipe } from "../agent/runtime/secrets.ts";

export class CardError extends ShardkeepError<
  "RECOVERY_CARD_MISTYPED" | "RECOVERY_CARD_FOREIGN" | "RECOVERY_CARD_REPEATED" | "RECOVERY_CARDS_MISSING" | "RECOVERY_CARDS_WRONG"
> {}

/**
 * One custodian's share of the recovery key, as 40 bytes:
 *
 *   format (1, is 1) ‖ threshold (1) ‖ x (1) ‖ key id (5: the first of SHA-256 of the public point) ‖ y (32)
 *
 * written in five rows of eight bytes and two of check: SHA-256 of a tag and all of this card up to there. So each row is
 * verified as it is typed, and one of another card is found too. A row is 16 letters of Crockford's base 32.
 */
export interface Card {
  readonly threshold: number;
  readonly x: number;
  readonly keyId: Uint8Array;
  /** 32 bytes in secret memory. */
  readonly y: Uint8Array<ArrayBuffer>;
}

export const cardRows = 5;
const rowBytes = 8;
const checkBytes = 2;
export const rowLetters = 16;
const idBytes = 5;
const headBytes = 3;
const format = 1;
const cardBytes = cardRows * rowBytes;

const alphabet = new TextEncoder().encode("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
const bitsPerLetter = 5;

export function keyIdOf(point: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(point).digest().subarray(0, idBytes));
}

/** Public: two bytes of a hash over 32 unknown ones. */
function checkOf(card: Uint8Array, row: number): Uint8Array {
  return createHash("sha256").update("shardkeep/v1/recovery-card").update(card.subarray(0, (row + 1) * rowBytes)).digest().subarray(0, checkBytes);
}

/** The rows as they are printed: four groups of four letters, ASCII in secret memory that the caller wipes. */
export function encodeCard({ threshold, x, keyId, y }: Card): Uint8Array<ArrayBuffer> {
  const card = secretBytes(cardBytes);
  const row = secretBytes(rowBytes + checkBytes);
  const line = rowLetters + rowLetters / 4;
  const text = secretBytes(cardRows * line);
  try {
    card.set([format, threshold, x]);
    card.set(keyId, headBytes);
    card.set(y, headBytes + idBytes);
    for (let r = 0; r < cardRows; r++) {
      row.set(card.subarray(r * rowBytes, (r + 1) * rowBytes));
      row.set(checkOf(card, r), rowBytes);
      for (let i = 0; i < rowLetters; i++) {
        const at = r * line + i + Math.floor(i / 4);
        text[at] = alphabet[bitsOf(row, i * bitsPerLetter)] ?? 0;
        if (i % 4 === 3) text[at + 1] = i === rowLetters - 1 ? 0x0a : 0x20;
      }
    }
    return text;
  } finally {
    wipe(card, row);
  }
}

/** Five bits from bit `at` on. */
function bitsOf(bytes: Uint8Array, at: number): number {
  const byte = at >> 3;
  return (((bytes[byte] ?? 0) << 8 | (bytes[byte + 1] ?? 0)) >> (16 - bitsPerLetter - (at & 7))) & 31;
}

/** Value of a letter as people type it: either case, O for 0, I and L for 1; undefined for what is none. */
function valueOf(letter: number): number | undefined {
  const upper = letter >= 0x61 && letter <= 0x7a ? letter - 0x20 : letter;
  const meant = upper === 0x4f ? 0x30 : upper === 0x49 || upper === 0x4c ? 0x31 : upper;
  const value = alphabet.indexOf(meant);
  return value < 0 ? undefined : value;
}

/** What may stand between letters. */
export const isBetween = (letter: number): boolean => letter === 0x20 || letter === 0x2d || letter === 0x09 || letter === 0x0d;

/** A card while it is typed, row by row. */
export class TypedCard {
  readonly #card = secretBytes(cardBytes);
  #rows = 0;

  /** The row that is wanted, from 0; {@link cardRows} when there are all. */
  get row(): number {
    return this.#rows;
  }

  /** Threshold, x and key id stand in the first row. */
  get head(): Omit<Card, "y"> {
    const [, threshold = 0, x = 0] = this.#card;
    return { threshold, x, keyId: new Uint8Array(this.#card.subarray(headBytes, headBytes + idBytes)) };
  }

  /** Takes one typed line. Throws RECOVERY_CARD_MISTYPED, and the row is wanted again. */
  type(line: Uint8Array): void {
    const row = secretBytes(rowBytes + checkBytes);
    try {
      let [letters, isGood] = [0, true];
      for (const letter of line) {
        if (isBetween(letter)) continue;
        const value = valueOf(letter);
        if (value === undefined || letters === rowLetters) isGood = false;
        else letters = put(row, letters, value);
      }
      this.#card.set(row.subarray(0, rowBytes), this.#rows * rowBytes);
      const check = checkOf(this.#card, this.#rows);
      const { threshold, x } = this.head;
      if (!isGood || letters !== rowLetters || !check.every((byte, i) => row[rowBytes + i] === byte) || this.#card[0] !== format || threshold < 2 || x < 1) {
        throw new CardError("RECOVERY_CARD_MISTYPED", `row ${this.#rows + 1} of the card is not as it was printed`, { remedy: "type that row again; spaces and case do not matter" });
      }
      this.#rows += 1;
    } finally {
      wipe(row);
    }
  }

  /** The whole card; y in secret memory that the caller wipes. */
  end(): Card {
    const y = secretBytes(cardBytes - headBytes - idBytes);
    y.set(this.#card.subarray(headBytes + idBytes));
    return { ...this.head, y };
  }

  wipe(): void {
    wipe(this.#card);
  }
}

/** Writes the `n`th letter; gives how many there are then. */
function put(row: Uint8Array, n: number, value: number): number {
  const at = n * bitsPerLetter;
  const shifted = value << (16 - bitsPerLetter - (at & 7));
  row[at >> 3] = (row[at >> 3] ?? 0) | shifted >> 8;
  if ((at >> 3) + 1 < row.length) row[(at >> 3) + 1] = (row[(at >> 3) + 1] ?? 0) | shifted & 0xff;
  return n + 1;
}
