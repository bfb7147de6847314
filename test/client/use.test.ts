import t from "tap";
import { requestCode, requestDigest } from "../../agent/protocol/request.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { openPayload, sealResult } from "../../agent/protocol/result.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { payloadCommitment } from "../../agent/protocol/ciphertext.ts";
import { refOf } from "../../agent/protocol/site-record.ts";
import { verifyStatement } from "../../agent/protocol/statement.ts";
import type { Sealed } from "../../agent/protocol/primitives.ts";
import type { Progress } from "../../agent/client/use.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { ask, FakeSite, nonce, site } from "./support.ts";

void t.test("an honest operation", async (t) => {
  const fake = await FakeSite.start();
  const enclave = generateRecipient();
  fake.lies.fields = (fields) => ({ ...fields, enclave: { ...fields.enclave, seal: toBase64url(enclave.publicKey) } });
  fake.lies.answerEnclave = (keys) => ({ ...keys, seal: toBase64url(enclave.publicKey) });
  fake.lies.parts = [{ state: "waiting", have: [], still: "an officer" }, { state: "answered", box: "box-1" }];
  const seen: Progress[] = [];
  const { result, fields, code } = await fake.use({}, { onProgress: (progress) => seen.push(progress) });
  t.equal(Buffer.from(result).toString(), "result");
  t.equal(code, requestCode(requestDigest(fields)), "the code is of the fields that were verified");
  t.same(seen.map(({ state }) => state), ["accepted", "waiting", "answered"]);
  t.match(seen[0], { code });

  const [use] = fake.uses;
  t.ok(verifyStatement(use!, site, fake.clientKey.publicKey), "signed by the client");
  t.match(use?.body, { key: "payroll", operation: "mac", resource: "payroll/2026", reason: "test" });
  const salted = openPayload(site, use!.body, enclave, fake.payloads[0] as Sealed);
  t.equal(Buffer.from(salted.subarray(32)).toString(), "payload", "the enclave reads salt ‖ payload");
  t.equal(payloadCommitment(site, salted.slice(0, 32), ask.payload), use?.body.commitment, "and the commitment is to it");
  t.notSame([...salted.subarray(0, 32)], new Array(32).fill(0), "salted");
});

void t.test("nothing is used twice", async (t) => {
  const fake = await FakeSite.start();
  const client = await fake.client();
  await fake.finish(client.use(ask));
  await fake.finish(client.use(ask));
  const [a, b] = fake.uses.map(({ body }) => body);
  for (const field of ["request", "commitment", "resultKey"] as const) t.not(a?.[field], b?.[field], `${field} is fresh`);
  await client.close();
});

void t.test("a coordinator that lies about what it accepted", async (t) => {
  const refused = async (what: string, code: string, lie: (fake: FakeSite) => void): Promise<void> => {
    const fake = await FakeSite.start();
    lie(fake);
    await t.rejects(fake.use(), { code }, what);
    t.same(fake.payloads, [], `${what}: no payload was sent`);
    t.equal(fake.cancelled.length, 1, `${what}: taken back`);
  };
  for (const change of [{ resource: "public/x" }, { operation: "decrypt" as const }, { key: "other" }, { reason: "lunch" }, { commitment: toBase64url(new Uint8Array(32)) }, { request: nonce() }]) {
    await refused(Object.keys(change).join(), "REQUEST_CHANGED", ({ lies }) => {
      lies.fields = (fields) => ({ ...fields, use: { ...fields.use, body: { ...fields.use.body, ...change } } });
    });
  }
  await refused("another requester", "REQUEST_CHANGED", ({ lies }) => { lies.fields = (fields) => ({ ...fields, use: { ...fields.use, by: "mallory" } }); });
  await refused("another session", "COORDINATOR_CHANGED", ({ lies }) => { lies.fields = (fields) => ({ ...fields, coordinator: { ...fields.coordinator, boot: nonce() } }); });
  await refused("another record, same version", "RECORD_UNKNOWN", ({ lies }) => { lies.fields = (fields) => ({ ...fields, siteRecord: { ...fields.siteRecord, hash: toBase64url(new Uint8Array(32)) } }); });
  await refused("another version", "RECORD_UNKNOWN", ({ lies }) => { lies.fields = (fields) => ({ ...fields, siteRecord: { ...fields.siteRecord, version: 2 } }); });
  await refused("no enclave", "REQUEST_CHANGED", ({ lies }) => { lies.fields = ({ enclave, ...fields }) => (enclave.seal === "" ? { enclave, ...fields } : fields as typeof fields & { enclave: typeof enclave }); });
  await refused("an enclave key that is no point", "SEAL_INVALID", ({ lies }) => { lies.fields = (fields) => ({ ...fields, enclave: { ...fields.enclave, seal: toBase64url(new Uint8Array(65)) } }); });
});

void t.test("a coordinator that lies about the result", async (t) => {
  const refused = async (what: string, code: string, lie: (fake: FakeSite) => void): Promise<void> => {
    const fake = await FakeSite.start();
    lie(fake);
    await t.rejects(fake.use(), { code }, what);
  };
  const other = generateSigner();
  await refused("another signing key in the answer", "ENCLAVE_CHANGED", ({ lies }) => { lies.answerEnclave = (keys) => ({ ...keys, sign: other.publicKey }); });
  await refused("another seal key in the answer", "ENCLAVE_CHANGED", ({ lies, identity }) => { lies.answerEnclave = (keys) => ({ ...keys, seal: identity.publicKey }); });
  await refused("signed by another enclave", "RESULT_INVALID", ({ lies, uses }) => {
    lies.answer = ({ digest }) => sealResult(other, site, uses[0]!.body, digest, new Uint8Array(1));
  });
  await refused("of another request", "RESULT_INVALID", (fake) => {
    fake.lies.answer = () => sealResult(fake.enclaveSigner, site, fake.uses[0]!.body, toBase64url(new Uint8Array(32)), new Uint8Array(1));
  });
  await refused("another sealed text under the old signature", "RESULT_INVALID", (fake) => {
    fake.lies.answer = async (honest) => ({ ...honest, result: (await sealResult(fake.enclaveSigner, site, fake.uses[0]!.body, honest.digest, new Uint8Array(1))).result });
  });
  await refused("an answer that was never accepted", "NOT_ACCEPTED", ({ lies }) => { lies.accepts = false; });
});

void t.test("a second acceptance changes nothing", async (t) => {
  const fake = await FakeSite.start();
  const other = generateSigner();
  fake.lies.fields = (fields) => {
    // Sent again after the honest one, with a key of the coordinator's own.
    fake.lies.parts = [{ state: "accepted", fields: { ...fields, enclave: { seal: other.publicKey, sign: other.publicKey } }, rule: { key: "payroll", resource: "**", operations: ["mac"], require: [{ person: "a" }], requester: "never", confirm: "none", distinctBoxes: true } }];
    return fields;
  };
  const { fields } = await fake.use();
  t.same(fields.enclave, fake.keys);
  t.equal(fake.payloads.length, 1);
});

void t.test("nothing is shown of a request that was not accepted", async (t) => {
  const fake = await FakeSite.start();
  fake.lies.accepts = false;
  fake.lies.parts = [{ state: "waiting", have: [], still: "an officer" }];
  const seen: Progress[] = [];
  await t.rejects(fake.use({}, { onProgress: (progress) => seen.push(progress) }), { code: "NOT_ACCEPTED" });
  t.same(seen, []);
});

void t.test("silence ends by name", async (t) => {
  const fake = await FakeSite.start();
  fake.lies.answers = false;
  await t.rejects(fake.use(), { code: "TIMED_OUT" }, "accepted, then silent");
  t.ok(fake.clock.now() < 200_000, `after the request's deadline and a margin (${fake.clock.now()} ms)`);
  const deaf = await FakeSite.start();
  deaf.lies.accepts = false;
  deaf.lies.answers = false;
  await t.rejects(deaf.use(), { code: "NOT_ACCEPTED" }, "never accepted");
});

void t.test("a request is taken back", async (t) => {
  const fake = await FakeSite.start();
  fake.lies.answers = false;
  const client = await fake.client();
  const stop = new AbortController();
  const pending = client.use(ask, { signal: stop.signal, onProgress: () => { stop.abort(); } });
  await t.rejects(fake.finish(pending), { code: "CANCELLED", message: "the requester took it back" }, "the coordinator's own word");
  t.equal(fake.cancelled.length, 1);
  t.equal(fake.cancelled[0], fake.uses[0]?.body.request);
  fake.lies.minds = false;
  await t.rejects(fake.finish(client.use(ask, { signal: AbortSignal.abort() })), { code: "CANCELLED" }, "aborted before it began");
  const waiting = client.use(ask);
  await client.close();
  await t.rejects(waiting, { code: "CLIENT_CLOSED" }, "a closed client leaves nobody waiting");
});

void t.test("meeting the coordinator", async (t) => {
  const fake = await FakeSite.start();
  const client = await fake.client();
  t.same(refOf(client.record), refOf(fake.record));
  await client.close();

  const forged = await FakeSite.start();
  const mallory = generateSigner();
  const byMallory = await forged.signed({}, mallory);
  forged.lies.record = () => byMallory;
  await t.rejects(forged.client(), { code: "RECORD_FORGED" }, "a record signed by somebody else");
  const ownAuthority = await forged.signed({ authority: mallory.publicKey }, mallory);
  forged.lies.record = () => ownAuthority;
  await t.rejects(forged.client(), { code: "RECORD_FORGED" }, "a record that names its own authority");
  const handedOver = await forged.signed({ authority: mallory.publicKey });
  forged.lies.record = () => handedOver;
  await t.rejects(forged.client(), { code: "RECORD_FORGED" }, "an authority does not hand over to another key");
  forged.lies.record = (honest) => honest;
  await t.rejects(forged.client({ coordinator: "other" }), { code: "NO_ANSWER" }, "another coordinator");

  const stranger = await FakeSite.start();
  const named = await stranger.signed({ coordinator: { id: "coordinator", key: mallory.publicKey } });
  stranger.lies.record = () => named;
  await t.rejects(stranger.client(), { code: "NO_ANSWER" }, "a true record, but the answer is not signed by its coordinator");

  const replayed = await FakeSite.start();
  replayed.lies.helloNonce = nonce;
  await t.rejects(replayed.client(), { code: "COORDINATOR_CHANGED" }, "an answer to another hello");

  const silent = await FakeSite.start();
  await silent.off();
  await t.rejects(silent.client(), { code: "NO_ANSWER" }, "nobody there");
});

void t.test("the record moves forward only", async (t) => {
  const fake = await FakeSite.start();
  const client = await fake.client();
  const announce = async (change: Parameters<FakeSite["signed"]>[0], signer = fake.authority): Promise<number> => {
    await fake.exchange.tell("shardkeep/v1/site/record", "record", { record: await fake.signed(change, signer) });
    await fake.clock.advance(10);
    return client.record.body.version;
  };
  t.equal(await announce({ version: 3, sealed: true }), 3, "newer");
  t.equal(await announce({ version: 2, sealed: true }), 3, "older: no");
  t.equal(await announce({ version: 4, sealed: false }), 3, "unsealed after sealed: no");
  t.equal(await announce({ version: 5, sealed: true }, generateSigner()), 3, "not by the authority: no");
  t.equal(await announce({ version: 6, sealed: true }), 6, "newer again");
  await client.close();
});

void t.test("a coordinator that was restarted is met again", async (t) => {
  const fake = await FakeSite.start();
  const client = await fake.client();
  await fake.off();
  await fake.boot();
  await t.rejects(fake.finish(client.use(ask)), { code: "NOT_FRESH" }, "its old nonce means nothing there");
  await fake.beat(1);
  await fake.clock.advance(100);
  const { result } = await fake.finish(client.use(ask));
  t.equal(Buffer.from(result).toString(), "result");
  await client.close();
});

void t.test("nonces follow the heartbeats of the session that was met", async (t) => {
  const fake = await FakeSite.start();
  const client = await fake.client();
  const fresh = fake.issue;
  for (let i = 1; i <= 4; i++) {
    await fake.clock.advance(2 * 60_000); // a nonce lives for five minutes
    fake.issue = fresh;
    await fake.beat(i);
  }
  await fake.clock.advance(10);
  await fake.finish(client.use(ask));
  // A heartbeat with an old counter is a recording: its nonce is not taken.
  fake.issue = nonce;
  await fake.beat(2);
  await fake.clock.advance(10);
  t.ok(await fake.finish(client.use(ask)), "still the last good nonce");
  await client.close();
});
