import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { text } from "node:stream/consumers";
import t, { type Test } from "tap";
import { root } from "#paths";
import { Pty } from "../../firmware-bridge/emulators/pty.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { secretLines } from "../../provisioning/card-reader.ts";
import { encodeCard, TypedCard, type Card } from "../../provisioning/recovery-card.ts";
import { checkCards, makeCards } from "../../provisioning/recovery-cards.ts";
import { environment, freePort, place, run, shardkeep, start, withoutSoftHsm } from "./support.ts";

const { publicKey, texts } = await makeCards(2, 4);
const cards = texts.map((card) => new TextDecoder().decode(card)) as [string, string, string, string];
const other = await makeCards(2, 3);
const foreign = new TextDecoder().decode(other.texts[2]);
const rowsOf = (card: string): string[] => card.trim().split("\n").filter((line) => !line.startsWith("#"));

async function check(input: string, key?: string) {
  const said: number[] = [];
  async function* piped(): AsyncGenerator<Uint8Array> { yield Buffer.from(input); }
  const checked = await checkCards(secretLines(piped()), key, { ask: () => undefined, isPatient: false, onCard: ({ x }) => { said.push(x); } });
  return { ...checked, said };
}

/** The card, printed with one bit of its secret wrong, and all its checks right. */
function misprinted(card: string): string {
  const typed = new TypedCard();
  for (const row of rowsOf(card)) typed.type(Buffer.from(row));
  const wrong: Card = typed.end();
  wrong.y[7]! ^= 1;
  return new TextDecoder().decode(encodeCard(wrong));
}

void t.test("one card, and as many as give the key", async (t) => {
  for (const key of [undefined, publicKey]) {
    t.strictSame(await check(cards[1], key), { cards: [2], threshold: 2, key: null, said: [2] });
    t.strictSame(await check(cards[3] + cards[0], key), { cards: [4, 1], threshold: 2, key: publicKey, said: [4, 1] });
    t.strictSame(await check(cards.join(""), key), { cards: [1, 2, 3, 4], threshold: 2, key: publicKey, said: [1, 2, 3, 4] });
  }
});

void t.test("wrong, foreign, repeated, half cards, and none", async (t) => {
  const slip = cards[1].replace(rowsOf(cards[1])[2]!, rowsOf(cards[0])[2]!);
  await t.rejects(check(cards[0] + slip), { code: "RECOVERY_CARD_MISTYPED", message: /^row 3 / });
  await t.rejects(check(foreign, publicKey), { code: "RECOVERY_CARD_FOREIGN", message: /than the site record names/ });
  await t.rejects(check(cards[0] + foreign), { code: "RECOVERY_CARD_FOREIGN", message: /than the first one/ });
  await t.rejects(check(cards[0] + cards[2] + cards[2]), { code: "RECOVERY_CARD_REPEATED" });
  await t.rejects(check(cards[0] + rowsOf(cards[1]).slice(0, 4).join("\n")), { code: "RECOVERY_CARDS_MISSING" }, "half a card");
  await t.rejects(check("# nothing\n"), { code: "RECOVERY_CARDS_MISSING" });
  for (const key of [undefined, publicKey]) for (const at of [0, 1, 2, 3]) {
    await t.rejects(check(cards.map((card, i) => (i === at ? misprinted(card) : card)).join(""), key), { code: "RECOVERY_CARDS_WRONG" }, `card ${at + 1} is no part of the key`);
  }
});

void t.test("piped into the command, which shows nothing of them", async (t) => {
  const ends = await Promise.all([
    shardkeep(["site", "recovery-check"], { input: cards[1] }),
    shardkeep(["site", "recovery-check"], { input: cards.join("") }),
    shardkeep(["site", "recovery-check", "--json"], { input: cards.slice(2).join("") }),
    shardkeep(["site", "recovery-check", "--json"], { input: rowsOf(cards[0]).slice(0, 3).join("\n") }),
  ]);
  t.match(ends[0], { code: 0, stdout: "card 2 as printed; 1 more would give the key\n", stderr: "card 2: as printed\n" });
  t.match(ends[1], { code: 0, stdout: `cards 1, 2, 3, 4 give the key ${fingerprintOf(publicKey)}\n`, stderr: "card 1: as printed\ncard 2: as printed\ncard 3: as printed\ncard 4: as printed\n" });
  t.strictSame(JSON.parse(ends[2].stdout), { cards: [3, 4], threshold: 2, key: publicKey, fingerprint: fingerprintOf(publicKey), inRecord: false });
  t.match([ends[3].code, JSON.parse(ends[3].stdout)], [65, { error: { code: "RECOVERY_CARDS_MISSING" } }]);
  for (const row of cards.flatMap(rowsOf)) t.notOk(ends.some(({ stdout, stderr }) => `${stdout}${stderr}`.includes(row)));
});

/** The command at a terminal on which `typed` comes. */
async function atTerminal(t: Test, typed: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const pty = new Pty(() => undefined);
  t.teardown(() => { pty.unplug(); });
  execFileSync("stty", ["-F", pty.path, "icanon"]);
  const terminal = openSync(pty.path, constants.O_RDWR | constants.O_NOCTTY);
  const child = spawn(process.execPath, [`${root}dist/provisioning/main.js`, "site", "recovery-check"], { env: environment({}), stdio: [terminal, "pipe", "pipe"] });
  closeSync(terminal);
  const said = Promise.all([text(child.stdout!), text(child.stderr!)]);
  const ended = once(child, "close");
  await pty.write(Buffer.from(typed));
  const [[stdout, stderr], [code]] = [await said, await ended as [number | null]];
  return { code, stdout, stderr };
}

void t.test("typed and scanned at a terminal, with a slip in between, until Ctrl-D", async (t) => {
  const rows = rowsOf(cards[2]);
  const scanned = rowsOf(cards[0]).join("").replaceAll(" ", "");
  const { code, stdout, stderr } = await atTerminal(t, `${rows[0]}\n${rows[2]}\n${rows.slice(1).join("\n")}\n${scanned}\n\u0004`);
  t.equal(code, 0, stderr);
  t.equal(stdout, `cards 3, 1 give the key ${fingerprintOf(publicKey)}\n`);
  t.match(stderr, /Ctrl-D[^]*card 1, row 2 of 5:\nrow 2 of the card is not as it was printed\ncard 1, row 2 of 5:\n[^]*card 3: as printed\ncard 2 of 2, row 1 of 5:\ncard 1: as printed\ncard 3, row 1 of 5:\n/);
});

void t.test("against the key that the site record names", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t, await freePort());
  const config = here.coordinator();
  t.equal((await run("agent/coordinator/init.js", ["--config", config])).code, 0);
  await start(t, "provisioning/main.js", ["coordinator", "--config", config], /started/);
  const site = ["--client", here.at("coordinator", "clients", "admin", "client.yaml")];
  t.match(await shardkeep(["site", "recovery-check", ...site], { input: cards[0] }), { code: 77, stderr: /^RECORD_NOT_RECOVERABLE[^]*next: / });
  t.equal((await shardkeep(["site", "recovery", `--key=${publicKey}`, ...site])).code, 0);
  const [whole, one, wrong] = await Promise.all([cards.join(""), cards[1], foreign].map((input) => shardkeep(["site", "recovery-check", ...site], { input })));
  t.match(whole, { code: 0, stdout: `give the key ${fingerprintOf(publicKey)}\nthat is the recovery key of the site record\n` });
  t.match(one, { code: 0, stdout: `card 2 as printed, of the recovery key ${fingerprintOf(publicKey)}; 1 more would give the key\n` });
  t.match(wrong, { code: 65, stderr: /^RECOVERY_CARD_FOREIGN/m });
});
