import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { acceptAnswer, parseAnswer } from "../../agent/box/accept.ts";
import { boxConfig, type BoxConfig } from "../../agent/box/config.ts";
import { makeRequest } from "../../agent/box/request.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { createTlsAuthority, createTlsKeys, issueCertificate } from "../../agent/mqtt/tls.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { boxRequest, challengeSecretContext, type BoxAnswer } from "../../agent/protocol/joining.ts";
import { siteRecord } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { Ownership } from "../../agent/runtime/provision.ts";
import type { Say } from "../../agent/runtime/steps.ts";
import { getJson, putJson } from "../../agent/store/json.ts";
import type { Store } from "../../agent/store/store.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { answering, type Answering } from "./answering.ts";

const quiet: Say = () => undefined;

interface Joining extends Answering {
  readonly config: BoxConfig;
  readonly hsm: Hsm;
  readonly store: Store;
  readonly coordinator: Hsm;
  readonly accept: (answer: BoxAnswer, expected?: string, say?: Say) => Promise<void>;
}

/** A box that has asked, and the parts of a right answer. */
async function joining(t: Test): Promise<Joining> {
  const state = mkdtempSync(join(tmpdir(), "shardkeep-accept-"));
  t.teardown(() => { rmSync(state, { recursive: true, force: true }); });
  const config = boxConfig.parse({ site: "plant", box: "box-1", state, hsm: { module: "none", token: "box-1", pinFile: "pin" }, broker: "mqtts://localhost:1", sensor: { path: "tty" } });
  const hsm = memoryHsm("box-1");
  const coordinator = memoryHsm("coordinator");
  const store = openMemoryStore(memoryDisk());
  const request = boxRequest.parse(await makeRequest(config, hsm, store, new Ownership(state, { site: "plant", name: "box-1" }), quiet));
  const site = await answering(request, coordinator);
  return { ...site, config, hsm, store, coordinator, accept: (given, expected, say = quiet) => acceptAnswer(config, hsm, store, given, expected, say) };
}

void t.test("a right answer", async (t) => {
  const { config, hsm, store, coordinator, authority, answer, accept, signed } = await joining(t);
  const good = await signed();
  const steps: string[] = [];
  await accept(good, fingerprintOf(authority.publicKey), (step, state) => { steps.push(`${step} ${state}`); });
  t.same(steps, ["authority ok", "challenge secret changed", "tls changed", "box changed"]);
  const mac = await hsm.mac({ box: "box-1", message: utf8("x") });
  t.ok(await coordinator.verifyMac({ box: "box-1", message: utf8("x"), mac }), "both HSMs have one secret");
  t.same(getJson(store, "site-record", siteRecord), answer.record);
  t.equal(readFileSync(join(config.state, "tls", "box-1.pem"), "utf8"), answer.certificate);

  const { head } = store;
  steps.length = 0;
  await accept(good, undefined, (step, state) => { steps.push(`${step} ${state}`); });
  t.same(steps, ["authority ok", "box ok"]);
  t.same(store.head, head, "again: nothing was written");
});

void t.test("whom the box believes is said", async (t) => {
  const trusts: unknown[] = [];
  const say: Say = (step, _, fields) => { if (step === "authority") trusts.push(fields?.["trust"]); };
  const first = await joining(t);
  await first.accept(await first.signed(), undefined, say);
  await first.accept(await first.signed(), undefined, say);
  await first.accept(await first.signed(), first.authority.publicKey, say);
  t.same(trusts, ["first use", "known", "compared"], "the key itself may be named as well as its fingerprint");
});

void t.test("what is not for this box changes nothing", async (t) => {
  const box = await joining(t);
  const { config, hsm, store, authority, tls, answer, accept, signed } = box;
  const other = await joining(t);
  const { head } = store;
  const mallory = generateSigner();
  const byMallory = await signStatement(mallory, "box-answer", "plant", "coordinator", answer);
  const own = await signStatement(mallory, "site-record", "plant", "coordinator", { ...answer.record.body, authority: mallory.publicKey });
  const otherTls = await createTlsAuthority("plant");
  const stranger = (await createTlsKeys()).publicKey;
  const good = await signed();
  const table: [string, string, BoxAnswer, string?][] = [
    ["of another site", "ANSWER_FOREIGN", { ...good, site: "other" }],
    ["with another site's record", "ANSWER_FOREIGN", await signed({ record: { ...answer.record, site: "other" } })],
    ["for another box", "ANSWER_FOREIGN", await signed({ box: "box-2" })],
    ["signed by somebody else", "ANSWER_INVALID", byMallory],
    ["changed after it was signed", "ANSWER_INVALID", { ...good, body: { ...good.body, challengeSecret: other.answer.challengeSecret } }],
    ["with a record that somebody else signed", "ANSWER_INVALID", await signed({ record: { ...answer.record, sig: byMallory.sig } })],
    ["with a record without this box", "ANSWER_INVALID", await signed({}, { boxes: [] })],
    ["with a record that has another key for it", "ANSWER_INVALID", await signed({}, { boxes: [{ id: "box-1", zone: "default", key: mallory.publicKey }] })],
    ["with another authority than the one that was named", "AUTHORITY_WRONG", await signStatement(mallory, "box-answer", "plant", "coordinator", { ...answer, record: own }), fingerprintOf(authority.publicKey)],
    ["and a fingerprint with a slip of the pen", "AUTHORITY_WRONG", good, fingerprintOf(authority.publicKey).slice(0, -1)],
    ["with a TLS authority that the record does not name", "ANSWER_INVALID", await signed({ ca: otherTls.certificate })],
    ["with a certificate of another authority", "ANSWER_INVALID", await signed({ certificate: await issueCertificate(otherTls, "box-1", stranger) })],
    ["with a certificate over another key", "ANSWER_INVALID", await signed({ certificate: await issueCertificate(tls, "box-1", stranger) })],
    ["with another box's certificate", "ANSWER_INVALID", await signed({ certificate: await issueCertificate(tls, "box-2", stranger) })],
    ["with a certificate that is none", "ANSWER_INVALID", await signed({ certificate: "none" })],
    ["with a secret that is sealed to another box", "SEAL_INVALID", await signed({ challengeSecret: other.answer.challengeSecret })],
  ];
  for (const [what, code, given, expected] of table) {
    await t.rejects(accept(given, expected), { code }, what);
    t.same(store.head, head, `${what}: nothing in the store`);
    t.notOk(existsSync(join(config.state, "tls", "box-1.pem")), `${what}: no certificate`);
    await t.rejects(hsm.mac({ box: "box-1", message: utf8("x") }), { code: "KEY_MISSING" }, `${what}: no secret`);
  }
  const certificate = await issueCertificate(tls, "box-2", (await createTlsKeys()).publicKey);
  await t.rejects(accept(await signed({ certificate })), { code: "ANSWER_INVALID" });
  await accept(good);
  await t.rejects(accept(await signStatement(mallory, "box-answer", "plant", "coordinator", { ...answer, record: own })), { code: "AUTHORITY_WRONG" }, "a box joins one site only");
});

void t.test("a box that never asked", async (t) => {
  const { config, signed } = await joining(t);
  const answer = await signed();
  const blank = openMemoryStore(memoryDisk());
  await t.rejects(acceptAnswer(config, memoryHsm(), blank, answer, undefined, quiet), { code: "NOT_REQUESTED" });
  const hsm = memoryHsm();
  await hsm.createKey("identity");
  await t.rejects(acceptAnswer(config, hsm, blank, answer, undefined, quiet), { code: "NOT_REQUESTED" }, "an identity alone is no request");
});

void t.test("a new answer replaces the secret and never sets the record back", async (t) => {
  const { store, hsm, coordinator, accept, signed, answer } = await joining(t);
  await accept(await signed());
  const newer = { ...answer.record, body: { ...answer.record.body, version: 9 } };
  await store.commit([putJson("site-record", newer)]);
  await coordinator.removeChallengeSecret({ box: "box-1" });
  const seal = getJson(store, "seal-key", boxRequest.shape.body.shape.sealKey)!;
  const again = await coordinator.createChallengeSecret({ box: "box-1", recipient: fromBase64url(seal.key)!, info: challengeSecretContext("plant", "box-1") });
  await accept(await signed({ challengeSecret: { enc: toBase64url(again.enc), ct: toBase64url(again.ct) } }));
  t.ok(await coordinator.verifyMac({ box: "box-1", message: utf8("x"), mac: await hsm.mac({ box: "box-1", message: utf8("x") }) }));
  t.equal(getJson(store, "site-record", siteRecord)?.body.version, 9);
});

void t.test("files that are no answers", async (t) => {
  const text = JSON.stringify(await (await joining(t)).signed());
  t.same(parseAnswer(text).type, "box-answer");
  for (const bad of ["", "{}", "null", text.slice(0, text.length / 2), `${text}x`, text.replace("box-answer", "box-request"), text.replace(`"generation":1`, `"generation":1,"more":1`)]) {
    t.throws(() => parseAnswer(bad), { code: "ANSWER_INVALID" }, bad.slice(0, 20));
  }
});

void t.test("a request that was cut off between seal key and vault", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "shardkeep-request-"));
  t.teardown(() => { rmSync(state, { recursive: true, force: true }); });
  const { config } = await joining(t);
  const hsm = memoryHsm();
  await hsm.createKey("identity");
  await hsm.createSealKey({ generation: 1 });
  const store = openMemoryStore(memoryDisk());
  const ownership = new Ownership(state, { site: "plant", name: "box-1" });
  const request = await makeRequest({ ...config, state }, hsm, store, ownership, quiet);
  const again = await makeRequest({ ...config, state }, hsm, store, ownership, quiet);
  t.same({ ...again, sig: "" }, { ...request, sig: "" });
  t.same(await hsm.sealKeys(), [1]);
  // What was complete once and is gone is a loss, never made anew.
  ownership.finish();
  await t.rejects(makeRequest({ ...config, state }, hsm, openMemoryStore(memoryDisk()), ownership, quiet), { code: "STATE_DAMAGED" }, "no vault");
  await t.rejects(makeRequest({ ...config, state }, memoryHsm(), store, ownership, quiet), { code: "STATE_DAMAGED" }, "no identity key");
  writeFileSync(join(state, "owner.json"), "{");
  t.throws(() => new Ownership(state, { site: "plant", name: "box-1" }), { code: "STATE_DAMAGED" });
});
