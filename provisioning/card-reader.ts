import { equalBytes, secretBytes, secretCopy, wipe } from "../agent/runtime/secrets.ts";
import { CardError, cardRows, isBetween, rowLetters, TypedCard, type Card } from "./recovery-card.ts";

export interface Typing {
  /** Says which row is wanted. */
  readonly ask: (words: string) => void;
  /** Whether what was mistyped may be typed again; else it is thrown. */
  readonly isPatient: boolean;
}

export interface Wanted extends Typing {
  /** Of the key whose cards are wanted; without it of the first card's. */
  readonly keyId?: Uint8Array;
  /** A whole card, as it was printed; true if no more are wanted after it. */
  readonly onCard: (card: Omit<Card, "y">, cards: number) => boolean;
}

/**
 * Reads cards of one key, row by row as they are typed, or a card a line as its QR code has it, until no more are wanted or
 * come. Each y is the caller's to wipe. Throws {@link CardError}: also where the last one is not whole.
 */
export async function readCards(lines: AsyncIterable<Uint8Array>, { keyId, onCard, ask, isPatient }: Wanted): Promise<readonly Card[]> {
  const cards: Card[] = [];
  let typed = new TypedCard();
  const restart = (): void => { typed.wipe(); typed = new TypedCard(); };
  const want = (): void => {
    const [{ threshold } = { threshold: 0 }] = cards;
    ask(`card ${cards.length + 1}${cards.length < threshold ? ` of ${threshold}` : ""}, row ${typed.row + 1} of ${cardRows}:`);
  };
  try {
    want();
    for await (const line of lines) {
      try {
        if (line.length === 0 || line[0] === 0x23) continue;
        const rows = rowsOf(line);
        // Scanned again after a slip, it begins anew; among files nothing of a card may be lost unseen.
        if (rows.length > 1 && isPatient) restart();
        for (const row of rows) {
          typed.type(row);
          if (typed.row === 1) requireFitting(typed.head, keyId, cards);
        }
      } catch (error) {
        if (!isPatient || !(error instanceof CardError)) throw error;
        ask(error.message);
        if (error.code !== "RECOVERY_CARD_MISTYPED") restart();
      } finally {
        wipe(line);
      }
      if (typed.row === cardRows) {
        cards.push(typed.end());
        if (onCard(typed.head, cards.length)) return cards;
        restart();
      }
      want();
    }
    if (typed.row > 0) throw missing(cards.length);
    return cards;
  } catch (error) {
    wipe(...cards.map(({ y }) => y));
    throw error;
  } finally {
    typed.wipe();
  }
}

export function missing(cards: number): CardError {
  return new CardError("RECOVERY_CARDS_MISSING", `${cards} whole card(s), and no more come`, { remedy: "type as many cards as the first one says, or pipe their files" });
}

/** A line with the letters of a whole card is what its QR code says: its rows. Any other is one row. */
function rowsOf(line: Uint8Array): readonly Uint8Array[] {
  const ends: number[] = [];
  let letters = 0;
  line.forEach((letter, at) => {
    if (isBetween(letter)) return;
    letters += 1;
    if (letters % rowLetters === 0) ends.push(at + 1);
  });
  return letters === cardRows * rowLetters ? ends.map((end, row) => line.subarray(ends[row - 1] ?? 0, end)) : [line];
}

/** A card of another key, or one that is there already, is refused at its first row. */
function requireFitting({ keyId, x, threshold }: Omit<Card, "y">, wanted: Uint8Array | undefined, [first, ...others]: readonly Card[]): void {
  const known = wanted ?? first?.keyId;
  if ((known !== undefined && !equalBytes(keyId, known)) || (first !== undefined && threshold !== first.threshold)) {
    throw new CardError("RECOVERY_CARD_FOREIGN", wanted === undefined ? "this card is of another recovery key than the first one" : "this card is of another recovery key than the site record names", {
      remedy: "find the cards that were made last; `shardkeep site show` has the key's fingerprint",
    });
  }
  if (first?.x === x || others.some((card) => card.x === x)) throw new CardError("RECOVERY_CARD_REPEATED", `card ${x} has been typed already`, { remedy: "type another card" });
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
