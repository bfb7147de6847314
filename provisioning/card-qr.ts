import { encodeQR } from "qr";
import { secretBytes, wipe } from "../agent/runtime/secrets.ts";

/**
 * The QR code of a card's 80 letters, without the library ever seeing them: it makes strings and matrices that nobody can
 * wipe. For a given version, level, mask and length every square of a code is a sum of bits of the message, and a constant
 * (ISO/IEC 18004 §7: Reed-Solomon is linear, a mask is added). So the library draws the code of no bits, and of each single
 * bit, which is public; ours is their sum, made in secret memory.
 */
export const qrLetters = 80;
/** A pair of letters is 11 bits, 45 · first + second (§7.4.4). */
const pairBits = 11;
const base = 45;
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/** The smallest that holds 80 letters when a quarter of it is scratched. Any mask may be named; the letters are random already. */
const symbol = { encoding: "alphanumeric", version: 5, ecc: "quartile", mask: 0, border: 1 } as const;
const side = 37;
/** Light squares about it (§9.1): to the right and below the paper is. */
const quiet = 4;

/** Squares in rows, 1 is dark, of public text. */
const drawn = (text: string): number[] => encodeQR(text, "raw", symbol).slice(1, -1).flatMap((row) => row.slice(1, -1).map(Number));

/** The code of no bits, and for each bit of the message, highest of each pair first, the squares that it turns over. */
export interface QrParts {
  readonly blank: readonly number[];
  readonly turns: readonly (readonly number[])[];
}

export function qrParts(): QrParts {
  const blank = drawn("0".repeat(qrLetters));
  const turns = Array.from({ length: qrLetters / 2 * pairBits }, (_, i) => {
    const value = 1 << (pairBits - 1 - i % pairBits);
    const pair = `${alphabet[Math.floor(value / base)] ?? ""}${alphabet[value % base] ?? ""}`;
    const at = 2 * Math.floor(i / pairBits);
    return drawn(`${"0".repeat(at)}${pair}${"0".repeat(qrLetters - 2 - at)}`).flatMap((dark, square) => (dark === blank[square] ? [] : [square]));
  });
  return { blank, turns };
}

/** Of 0-9 and A-Z, as ASCII. */
const valueOf = (letter: number): number => letter - (letter <= 0x39 ? 0x30 : 0x41 - 10);

/** In secret memory that the caller wipes. */
function squaresOf({ blank, turns }: QrParts, letters: Uint8Array): Uint8Array<ArrayBuffer> {
  const squares = secretBytes(side * side);
  squares.set(blank);
  for (const [i, turned] of turns.entries()) {
    const at = 2 * Math.floor(i / pairBits);
    const pair = base * valueOf(letters[at] ?? 0) + valueOf(letters[at + 1] ?? 0);
    const bit = pair >> (pairBits - 1 - i % pairBits) & 1;
    for (const square of turned) squares[square] = (squares[square] ?? 0) ^ bit;
  }
  return squares;
}

/** Two rows of squares a line, UTF-8: light-light, light-dark, dark-light, dark-dark. Drawn dark, for paper. */
const halves = [[0x20], [0xe2, 0x96, 0x84], [0xe2, 0x96, 0x80], [0xe2, 0x96, 0x88]] as const;
const lineStart = new TextEncoder().encode(`#${" ".repeat(quiet)}`);
const newLine = 0x0a;

/** The code of `letters`, 80 of 0-9 and A-Z in ASCII, as lines of text that begin with #; in secret memory that the caller wipes. */
export function qrText(parts: QrParts, letters: Uint8Array): Uint8Array<ArrayBuffer> {
  const squares = squaresOf(parts, letters);
  const lines = Math.ceil(side / 2) + quiet / 2;
  const most = secretBytes(lines * (lineStart.length + 3 * side + 1));
  let length = 0;
  try {
    const put = (bytes: Iterable<number>): void => { for (const byte of bytes) most[length++] = byte; };
    for (let line = -quiet / 2; line < lines - quiet / 2; line++) {
      put(lineStart);
      for (let x = 0; line >= 0 && x < side; x++) {
        const [upper = 0, lower = 0] = [squares[2 * line * side + x], squares[(2 * line + 1) * side + x]];
        put(halves[2 * upper + lower as 0 | 1 | 2 | 3]);
      }
      put([newLine]);
    }
    const text = secretBytes(length);
    text.set(most.subarray(0, length));
    return text;
  } finally {
    wipe(squares, most);
  }
}
