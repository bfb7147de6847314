import { readFileSync, statSync } from "node:fs";
import t from "tap";
import type { Client } from "../../agent/client/index.ts";
import type { SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { rule } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { nextBody, withFinger } from "../../agent/rules/record-edits.ts";
import { judgeRecoveryAsked } from "../../agent/rules/recovery.ts";
import { secretLines } from "../../provisioning/card-reader.ts";
import { signerOfCards } from "../../provisioning/recovery-cards.ts";
import { provenChain, stepLine } from "../../provisioning/record-chain.ts";
import { recover, type Newcomer } from "../../provisioning/site-recover.ts";
import { body, filled, signRecord } from "../rules/support/site.ts";
import { custodians, signRecovery } from "../support/recovery.ts";
import { place, shardkeep } from "./support.ts";

void t.test("cards are made into files for their custodians alone, and nothing of them is printed", async (t) => {
  const { at } = place(t);
  const args = ["site", "recovery-key", "--threshold", "2", "--cards", "3", "--out", at("cards"), "--json"];
  const { code, stdout, stderr } = await shardkeep(args);
  t.equal(code, 0, stderr);
  const made = JSON.parse(stdout) as { key: string; threshold: number; files: string[] };
  t.strictSame([made.threshold, made.files], [2, [1, 2, 3].map((i) => at("cards", `card-${i}.txt`))]);
  const cards = made.files.map((file) => readFileSync(file));
  for (const [i, file] of made.files.entries()) {
    t.equal(statSync(file).mode & 0o777, 0o600);
    for (const row of cards[i]!.toString().split("\n").filter((line) => line !== "" && !line.startsWith("#"))) t.notOk(`${stdout}${stderr}`.includes(row));
  }
  async function* piped(): AsyncGenerator<Uint8Array> { yield Buffer.concat([cards[2]!, cards[0]!]); }
  await t.resolves(signerOfCards(secretLines(piped()), made.key, { ask: () => undefined, isPatient: false }), "any two of them are the key that was named");
  t.match(await shardkeep(args), { code: 1, stdout: /FILE_EXISTS/ }, "no card is ever written over");
  t.match(await shardkeep(["site", "recovery-key", "--threshold", "2", "--cards", "3", "--out", at("more")]), { code: 0, stdout: /card-3\.txt\n[^]*shardkeep site recovery --key=[\w-]{87} --delay 7d\n/ });
});

const changing = rule.parse({ key: "site", operations: ["record"], require: [{ role: "officer", people: 1 }] });
const content: Partial<SiteRecordBody> = { rules: [...body.rules, changing], recovery: { key: custodians.publicKey, delayMs: 3_600_000 } };
const dave: Newcomer = { person: "dave", role: "officer", finger: "thumb", box: "box-3" };
const place4 = { slot: 4, template: filled(32, 20) };

async function scene(change: Partial<SiteRecordBody> = {}) {
  const record = await signRecord({ ...content, ...change });
  const asked: [string, object][] = [];
  const client = {
    record,
    request: (name: string, data: { body: SiteRecordBody; recovery: string }) => {
      asked.push([name, data]);
      if (name === "finger-enrol") return Promise.resolve({ enrolled: { body: place4 }, sensor: "device" });
      if (name !== "site-recover") return Promise.resolve({});
      judgeRecoveryAsked(record, data.body, data.recovery);
      return Promise.resolve({ version: 6, hash: filled(32, 1), leftMs: 3_600_000 });
    },
  } as unknown as Client;
  return { client, record, asked };
}

void t.test("a newcomer is enrolled, and the cards let him in", async (t) => {
  const { client, record, asked } = await scene();
  const keys: string[] = [];
  const made = await recover(client, [], [dave], (key) => { keys.push(key); return Promise.resolve(custodians); });
  t.match(made, { version: 6, leftMs: 3_600_000, changes: ["+ person dave: officer", /^\+ finger thumb of dave at box-3/] });
  t.strictSame([keys, asked.map(([name]) => name)], [[custodians.publicKey], ["finger-enrol", "site-recover"]]);
  t.strictSame((asked[1]![1] as { body: SiteRecordBody }).body, nextBody(record, withFinger("dave", ["officer"], { name: "thumb", box: "box-3", ...place4 })));
});

void t.test("without the cards, or refused, nobody stays enrolled; without a key nobody is bothered", async (t) => {
  const { client, asked } = await scene();
  await t.rejects(recover(client, [], [dave, { ...dave, person: "erin" }], () => Promise.reject(new Error("no cards"))), { message: "no cards" });
  t.strictSame(asked.map(([name, { person }]: [string, { person?: string }]) => `${name} ${person ?? ""}`), ["finger-enrol dave", "finger-enrol erin", "finger-forget dave", "finger-forget erin"]);
  asked.length = 0;
  await t.rejects(recover(client, [(one) => ({ ...one, boxes: [] })], [dave], () => Promise.resolve(custodians)), { code: "RECORD_INVALID" });
  t.strictSame(asked.map(([name]) => name), ["finger-enrol", "site-recover", "finger-forget"]);
  for (const change of [{ recovery: undefined }, { sealed: false }]) {
    const without = await scene(change);
    await t.rejects(recover(without.client, [], [dave], () => Promise.resolve(custodians)), { code: "RECORD_NOT_RECOVERABLE" });
    t.strictSame(without.asked, []);
  }
});

void t.test("how a version came to be, by the recovery key", async (t) => {
  const first = await signRecord(content);
  const made = nextBody(first, (one) => ({ ...one, roles: ["officer", "chief"] }));
  const second = { ...await signRecord(made), recovery: signRecovery(first, made) };
  const client = { record: second, request: () => Promise.resolve({ chain: [first, second] }) } as unknown as Client;
  const [, step] = await provenChain(client);
  t.match(step, { version: 6, approval: null, recovery: true });
  t.equal(stepLine(step!), `6 ${statementHash(second)}, by the recovery key`);
});
