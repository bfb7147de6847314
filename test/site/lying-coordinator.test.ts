import t from "tap";
import type { z } from "zod";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { requestDigest, type RequestFields } from "../../agent/protocol/request.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

type Challenge = z.infer<typeof boxRequests.challenge.request>;
const holders = ["box-1", "box-2", "box-3", "box-4", "box-5"];
const rules = [
  { key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true },
  { key: "payroll", resource: "**", operations: ["decrypt"], require: [{ role: "officer", people: 2 }], requester: "never", confirm: "none", distinctBoxes: true },
];
const people = [
  { id: "alice", roles: ["officer"], boxes: ["box-1"] },
  { id: "bob", roles: ["officer"], boxes: ["box-2"] },
  { id: "eve", roles: ["auditor"], boxes: ["box-3"] },
];

/** A site after one honest encryption, and the challenge that its holders saw. */
async function afterOneUse(): Promise<{ site: InProcessSite; seen: Challenge }> {
  const site = await InProcessSite.start({ people, rules, clients: { cli: undefined, other: undefined } });
  let seen: Challenge | undefined;
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: Challenge } };
    if (body.type === "request/challenge") seen = body.data;
    plain(delivery);
  };
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const encrypting = use(site, "cli", { operation: "encrypt", payload: new Uint8Array([1]) });
  await touch(site, "box-2", "bob");
  await finish(site, encrypting);
  return { site, seen: seen! };
}

/** What each holder says to a challenge that the coordinator signs properly. */
async function ask(site: InProcessSite, fields: RequestFields, evidence: Challenge["evidence"]): Promise<string[]> {
  const nonce = toBase64url(systemRandom.bytes(16));
  return await Promise.all(holders.map(async (box) => {
    const asked = site.coordinatorExchange.request(boxRequests, "challenge", box, { fields, evidence, nonce });
    try {
      await finish(site, asked, 10_000);
      return "answered";
    } catch (error) {
      return error instanceof ShardkeepError ? error.code as string : "?";
    }
  }));
}

/** A request by a client, as fresh as the taken-over coordinator can make it, to its own enclave. */
async function forgedFields(site: InProcessSite, seen: Challenge, change: Partial<RequestFields["use"]["body"]> = {}, client = "cli"): Promise<RequestFields> {
  const { signer } = site.clients.get(client)!;
  const body = { ...seen.fields.use.body, request: toBase64url(systemRandom.bytes(16)), ...change };
  const enclave = { seal: toBase64url(generateRecipient().publicKey), sign: generateSigner().publicKey };
  return { ...seen.fields, use: await signStatement(signer, "use", "test", client, body), enclave, nonces: holders.map((box) => ({ box, nonce: site.coordinator.freshOf(box)! })) };
}

const all = (code: string): string[] => holders.map(() => code);

void t.test("without evidence every holder refuses", async (t) => {
  const { site, seen } = await afterOneUse();
  t.strictSame(await ask(site, await forgedFields(site, seen), []), all("NOT_PERMITTED"));
});

void t.test("evidence of another request does not count, however fresh the request", async (t) => {
  const { site, seen } = await afterOneUse();
  t.strictSame(await ask(site, await forgedFields(site, seen), seen.evidence), all("EVIDENCE_INVALID"));
});

void t.test("the very request that was approved, to another enclave", async (t) => {
  const { site, seen } = await afterOneUse();
  const enclave = { seal: toBase64url(generateRecipient().publicKey), sign: seen.fields.enclave.sign };
  t.strictSame(await ask(site, { ...seen.fields, enclave }, seen.evidence), all("EVIDENCE_INVALID"));
});

void t.test("another requester's request under the same evidence", async (t) => {
  const { site, seen } = await afterOneUse();
  t.strictSame(await ask(site, await forgedFields(site, seen, {}, "other"), seen.evidence), all("EVIDENCE_INVALID"));
});

void t.test("a request that its client did not sign: payload, resource and requester exchanged", async (t) => {
  const { site, seen } = await afterOneUse();
  const { use: signed } = seen.fields;
  const changed = (body: Partial<typeof signed.body>): RequestFields => ({ ...seen.fields, use: { ...signed, body: { ...signed.body, ...body } } });
  t.strictSame(await ask(site, changed({ commitment: toBase64url(systemRandom.bytes(32)) }), seen.evidence), all("REQUEST_FORGED"));
  t.strictSame(await ask(site, changed({ resultKey: toBase64url(generateRecipient().publicKey) }), seen.evidence), all("REQUEST_FORGED"));
  t.strictSame(await ask(site, { ...seen.fields, use: { ...signed, by: "other" } }, seen.evidence), all("REQUEST_FORGED"));
  t.strictSame(await ask(site, { ...seen.fields, use: { ...signed, by: "nobody" } }, seen.evidence), all("UNKNOWN_CLIENT"));
});

void t.test("a policy that says no, or wants more people, is judged by every holder", async (t) => {
  const { site, seen } = await afterOneUse();
  t.strictSame(await ask(site, await forgedFields(site, seen, { operation: "mac" }), []), all("NOT_PERMITTED"));
  t.strictSame(await ask(site, await forgedFields(site, seen, { operation: "decrypt" }), []), all("NOT_PERMITTED"));
});

void t.test("evidence of a person without the role, or of a finger that is not in the record", async (t) => {
  const { site, seen } = await afterOneUse();
  const fields = await forgedFields(site, seen);
  const { hsm } = site.box("box-3");
  const eve = site.record.body.people.find((person) => person.id === "eve")!;
  const template = eve.fingers[0]!.template;
  const sign = (body: object) => signStatement({ sign: (message: Uint8Array) => hsm.sign("identity", message) }, "evidence", "test", "box-3", {
    digest: requestDigest(fields), boot: toBase64url(new Uint8Array(16)), person: "eve", finger: "index", template, modality: "fingerprint" as const, class: "B" as const,
    score: 1, display: "none" as const, confirm: "none" as const, sensor: "device" as const, ...body,
  });
  t.strictSame(await ask(site, fields, [await sign({})]), all("NOT_PERMITTED"), "a rooted box can be any one person, but not one with another role");
  t.strictSame(await ask(site, fields, [await sign({ person: "alice" })]), all("EVIDENCE_INVALID"), "nor a person that is enrolled elsewhere");
  t.strictSame(await ask(site, fields, [await sign({ template: toBase64url(new Uint8Array(32)) })]), all("EVIDENCE_INVALID"));
  const mine = await sign({});
  t.strictSame(await ask(site, fields, [{ ...mine, by: "box-1" }]), all("EVIDENCE_INVALID"), "evidence is its box's own");
});

void t.test("stale requests: old nonces, another record, another session, a restarted box", async (t) => {
  const { site, seen } = await afterOneUse();
  const old = { ...seen.fields };
  t.strictSame(await ask(site, { ...old, record: toBase64url(new Uint8Array(32)) }, seen.evidence), all("EVIDENCE_INVALID"));
  t.strictSame(await ask(site, { ...old, siteRecord: { version: 1, hash: toBase64url(new Uint8Array(32)) } }, seen.evidence), all("WRONG_SITE_RECORD"));
  t.strictSame(await ask(site, { ...old, coordinator: { ...old.coordinator, boot: toBase64url(new Uint8Array(16)) } }, seen.evidence), all("WRONG_COORDINATOR"));
  t.strictSame(await ask(site, { ...old, nonces: [{ box: "box-1", nonce: toBase64url(new Uint8Array(16)) }] }, seen.evidence), all("STALE_REQUEST"));
  await site.restartBox("box-4");
  await site.clock.advance(3000);
  const answers = await ask(site, old, seen.evidence);
  t.equal(answers[3], "STALE_REQUEST", "a restart forgets its nonces");
  t.equal(answers[0], "answered", "within its life the same request may be challenged again");
  await site.clock.advance(5 * 60_000);
  t.strictSame(await ask(site, old, seen.evidence), all("STALE_REQUEST"), "and after the approval window no more");
});

void t.test("one digest, one release: the same sealed bytes again, and nothing without a challenge", async (t) => {
  const { site, seen } = await afterOneUse();
  const digest = requestDigest(seen.fields);
  const release = (box: string, of: string) => finish(site, site.coordinatorExchange.request(boxRequests, "release", box, { digest: of }), 10_000);
  const answers = await Promise.allSettled(holders.map((box) => release(box, digest)));
  const again = await Promise.allSettled(holders.map((box) => release(box, digest)));
  t.strictSame(again, answers);
  t.equal(answers.filter(({ status }) => status === "fulfilled").length, 3, "those who were not asked keep theirs: the operation is over");
  await t.rejects(release("box-1", toBase64url(new Uint8Array(32))), { code: "NOT_CHALLENGED" });
});
