import { spawn } from "node:child_process";
import { decodeQR } from "qr/decode.js";
import t, { type Test } from "tap";
import { root } from "#paths";
import { verifyEs256 } from "../../agent/protocol/es256.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { encodeCard, TypedCard } from "../../provisioning/recovery-card.ts";
import { scanMemory } from "../../provisioning/demo/memory-scan.ts";
import { secretLines } from "../../provisioning/card-reader.ts";
import { makeCards, signerOfCards } from "../../provisioning/recovery-cards.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (of: Uint8Array): string => new TextDecoder().decode(of);
const rowsOf = (card: Uint8Array): string[] => text(card).trim().split("\n").filter((line) => !line.startsWith("#"));
async function* parts(...all: readonly string[]): AsyncGenerator<Uint8Array> { for (const one of all) yield bytes(one); }
/** Computed by another program. */
const printed = ["0410 6082 0C20 AQYJ", "0041 0610 50R3 G40P", "8145 0P30 D1R7 GB1Q", "G249 1650 N2RB GW9V", "R34D 1P70 X3RF HF5P"];
const { publicKey, texts } = await makeCards(2, 3);
const [one, two, three] = texts.map(rowsOf) as [string[], string[], string[]];
const other = await makeCards(2, 3);

/** What typing these lines comes to, and what was asked. */
async function typing(lines: readonly string[], isPatient = false, key = publicKey) {
  const asked: string[] = [];
  const signer = await signerOfCards(secretLines(parts(`${lines.join("\n")}\n`)), key, { ask: (words) => { asked.push(words); }, isPatient });
  return { asked, signer };
}

void t.test("any two of three cards are the key, however they are typed", async (t) => {
  for (const lines of [[...one, ...two], [...three, ...one], [...two, ...three]]) {
    const { signer } = await typing(lines);
    t.ok(verifyEs256(publicKey, bytes("step"), toBase64url(await signer.sign(bytes("step")))));
  }
  await typing([...text(texts[0]!).split("\n"), "", ...text(texts[2]!).split("\r\n")].map((line) => (line.startsWith("#") ? line : line.toLowerCase().replaceAll(" ", "-"))));
  await typing([...one, ...two].map((line) => line.replaceAll("0", "O").replaceAll("1", "l")));
  const { asked } = await typing([...one, ...two]);
  t.strictSame(asked, [
    ...[1, 2, 3, 4, 5].map((row) => `card 1, row ${row} of 5:`), ...[1, 2, 3, 4, 5].map((row) => `card 2 of 2, row ${row} of 5:`),
  ]);
});

void t.test("a card as it is printed, letter by letter", async (t) => {
  const card = { threshold: 2, x: 3, keyId: new Uint8Array([1, 2, 3, 4, 5]), y: Uint8Array.from({ length: 32 }, (_, i) => 8 * i) };
  t.strictSame(text(encodeCard(card)).split("\n"), [...printed, ""]);
  const typed = new TypedCard();
  for (const row of printed) typed.type(bytes(row));
  t.strictSame(typed.end(), card);
  t.match(text(other.texts[1]!), /^# Shardkeep recovery card 2 of 3: any 2 of them .*\n#.*\n(?:(?:[0-9A-HJKMNP-TV-Z]{4} ){3}[0-9A-HJKMNP-TV-Z]{4}\n){5}(?:# [ ▀▄█]*\n){21}$/);
});

/** What a reader sees in the code on a printed card: dark on white paper, each square `scale` pixels wide and high. */
function scanned(card: Uint8Array, scale = 3): string {
  const lines = text(card).split("\n").filter((line) => line.startsWith("# ") && !/[a-z]/.test(line)).map((line) => line.slice(1).padEnd(45));
  const [width, height] = [45 * scale, 2 * lines.length * scale + 4 * scale];
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const row = Math.floor(y / scale);
    if ((row % 2 === 0 ? "█▀" : "█▄").includes(lines[row >> 1]?.[Math.floor(x / scale)] ?? " ")) data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
  }
  return decodeQR({ width, height, data }, { timeLimit: 10_000 });
}

void t.test("the QR code of a card says its rows, and is taken for them", async (t) => {
  const many = await makeCards(2, 16);
  for (const card of [...texts, ...many.texts]) t.equal(scanned(card), rowsOf(card).join("").replaceAll(" ", ""));
  const [first, second] = [scanned(texts[0]!), scanned(texts[1]!)];
  for (const lines of [[first, second], [...one, `${second.toLowerCase()}\r`], [one.join("-"), ...two]]) {
    const { signer } = await typing(lines);
    t.ok(verifyEs256(publicKey, bytes("step"), toBase64url(await signer.sign(bytes("step")))));
  }
  for (let row = 0; row < 5; row++) {
    const at = 16 * row + 3;
    const slip = `${first.slice(0, at)}${first[at] === "7" ? "8" : "7"}${first.slice(at + 1)}`;
    await t.rejects(typing([slip]), { code: "RECOVERY_CARD_MISTYPED", message: `row ${row + 1} of the card is not as it was printed` });
    for (const lines of [[slip, first, second], [slip, ...one.slice(row), second]]) {
      const { asked } = await typing(lines, true);
      t.equal(asked[2], `card 1, row ${row + 1} of 5:`, "scanned again, or typed from that row on");
    }
  }
  await t.rejects(typing([first, scanned(other.texts[1]!)]), { code: "RECOVERY_CARD_FOREIGN" });
  await t.rejects(typing([first, first]), { code: "RECOVERY_CARD_REPEATED" });
  await t.rejects(typing([...one.slice(0, 3), second]), { code: "RECOVERY_CARD_MISTYPED", message: /^row 4 / }, "half a file before it");
  for (const line of [`${first}0`, first.slice(1), `${first}${second}`]) await t.rejects(typing([line]), { code: "RECOVERY_CARD_MISTYPED" });
});

void t.test("a card that is mistyped anywhere is found at that row, and may be typed again", async (t) => {
  for (let row = 0; row < 5; row++) {
    const line = one[row]!;
    const wrong = [
      line.slice(1), `${line}0`, line.slice(0, -1), line.replace(/.$/, "U"), "", two[row] === line ? three[row]! : two[row]!,
      ...[0, 6, 12, 18].map((at) => `${line.slice(0, at)}${line[at] === "7" ? "8" : "7"}${line.slice(at + 1)}`),
      `${line.slice(1, 2)}${line.slice(0, 1)}${line.slice(2)}`,
    ].filter((text) => text !== line && text !== "");
    for (const bad of wrong.filter((text) => row > 0 || (text !== two[0] && text !== three[0]))) {
      await t.rejects(typing([...one.slice(0, row), bad]), { code: "RECOVERY_CARD_MISTYPED", message: `row ${row + 1} of the card is not as it was printed` }, bad);
    }
    const { asked } = await typing([...one.slice(0, row), ...wrong.slice(0, 2), ...one.slice(row), ...two], true);
    t.equal(asked.filter((words) => words === `card 1, row ${row + 1} of 5:`).length, 3, "asked again for that row");
  }
});

void t.test("another key's card, the same card again, too few, and cards that are no key", async (t) => {
  const foreign = rowsOf(other.texts[0]!);
  await t.rejects(typing([foreign[0]!]), { code: "RECOVERY_CARD_FOREIGN" }, "at its first row");
  await t.rejects(typing([...one, one[0]!]), { code: "RECOVERY_CARD_REPEATED" });
  await t.rejects(typing([...one, ...two.slice(0, 4)]), { code: "RECOVERY_CARDS_MISSING" });
  await t.rejects(typing([]), { code: "RECOVERY_CARDS_MISSING" });
  const patient = await typing([foreign[0]!, ...one, one[0]!, ...two], true);
  t.equal(patient.asked.filter((words) => /another recovery key|typed already/.test(words)).length, 2);
  const typed = new TypedCard();
  for (const row of one) typed.type(bytes(row));
  const damaged = { ...typed.end() };
  damaged.y[5]! ^= 1;
  await t.rejects(typing([...rowsOf(encodeCard(damaged)), ...two]), { code: "RECOVERY_CARDS_WRONG" });
  damaged.y.fill(0);
  await t.rejects(typing([...rowsOf(encodeCard({ ...damaged, x: 1 })), ...rowsOf(encodeCard({ ...damaged, x: 2 }))]), { code: "RECOVERY_CARDS_WRONG" }, "zero is no scalar");
  await t.rejects(typing([...one, ...rowsOf(encodeCard({ ...damaged, x: 2, threshold: 3 }))]), { code: "RECOVERY_CARD_FOREIGN" }, "made for another threshold");
  t.not(publicKey, other.publicKey);
});

void t.test("lines come in any pieces, an endless one is cut, and what came is wiped", async (t) => {
  const pieces = ["a", "b\nc", "\n\nd"].map(bytes);
  async function* input(): AsyncGenerator<Uint8Array> { yield* pieces; }
  const lines: string[] = [];
  for await (const line of secretLines(input())) lines.push(text(line));
  t.strictSame(lines, ["ab", "c", "", "d"]);
  t.ok(pieces.every((piece) => piece.every((byte) => byte === 0)));
  const lengths: number[] = [];
  for await (const line of secretLines(parts("x".repeat(1000), "\ny\n"))) lengths.push(line.length);
  t.strictSame(lengths, [256, 1]);
});

/** Two cards made in another process, which then waits; how often what a card shows stands in its memory. */
async function copiesLeft(t: Test, isWiped: boolean): Promise<Record<string, number>> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `
    const { makeCards } = await import(${JSON.stringify(`${root}dist/provisioning/recovery-cards.js`)});
    const { texts } = await makeCards(2, 2);
    const hidden = texts.map((text) => new Uint8Array(new ArrayBuffer(text.length)).map((_, i) => text[i] ^ 0x55));
    if (${isWiped}) for (const text of texts) text.fill(0);
    console.log(JSON.stringify(hidden.map((text) => [...text])));
    setInterval(() => texts.length, 1000);
  `], { stdio: ["ignore", "pipe", "inherit"], env: {} });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  for await (const part of child.stdout) if ((said += String(part)).endsWith("\n")) break;
  const cards = (JSON.parse(said) as number[][]).map((hidden) => Uint8Array.from(hidden, (byte) => byte ^ 0x55));
  const letters = cards.flatMap((card) => rowsOf(card).slice(1).map((row) => row.replaceAll(" ", "")));
  const code = cards.flatMap((card) => text(card).split("\n").filter((line) => /[▀▄█]/.test(line)).slice(4, 15));
  const needles = { rows: cards.flatMap((card) => rowsOf(card).slice(1)).map(bytes), letters: letters.flatMap((row) => [bytes(row), Buffer.from(row, "utf16le")]), code: code.map(bytes) };
  const found: Record<string, number> = {};
  for (const [what, all] of Object.entries(needles)) found[what] = (await scanMemory(child.pid!, all)).copies;
  return found;
}

void t.test("neither a card nor its code stays in the process that made them", async (t) => {
  t.match(await copiesLeft(t, false), { rows: 8, code: 22 }, "the scanner finds what is not wiped");
  t.strictSame(await copiesLeft(t, true), { rows: 0, letters: 0, code: 0 });
});
