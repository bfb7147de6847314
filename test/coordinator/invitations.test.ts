import t from "tap";
import { Invitations } from "../../agent/coordinator/invitations.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { JoinError, joinByCode } from "../../agent/box/join.ts";
import { frame, invitationContext, joinReply, openFrame, readCode, sealFrame, writeCode, type JoinReply } from "../../agent/protocol/invitation.ts";
import type { BoxAnswer, BoxRequest } from "../../agent/protocol/joining.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { generateRecipient, open } from "../../agent/protocol/seal.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { bytesOf, toBase64url } from "../../agent/runtime/encoding.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { body, filled, keyOf, signRecord } from "../rules/support/site.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const site = "demo";
const hour = 3_600_000;

async function scene(config: object = { join: { listen: { host: "x", port: 1 } } }) {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const note = (event: string): void => { logged.push(event); };
  const record = await signRecord({ retired: ["box-8"] });
  const kindOf = (name: string) => (body.boxes.some(({ id }) => id === name) ? "box" : name === "cli" ? "client" : undefined);
  const parts = { config: { site, ...config }, site: { current: record, kindOf }, clock, random: systemRandom, log: { info: note, warn: note, error: note } } as unknown as CoordinatorParts;
  const invitations = new Invitations(parts);
  const recipient = generateRecipient();
  const invite = (box = "box-6"): string => {
    const { enc, ct } = invitations.invite(box, hour, toBase64url(recipient.publicKey));
    return new TextDecoder().decode(open(recipient, bytesOf(enc), invitationContext(site, box), new Uint8Array(0), bytesOf(ct)));
  };
  const answer: BoxAnswer = { type: "box-answer", site, by: "coordinator", sig: filled(64, 1), body: { box: "box-6", certificate: "PEM", ca: "PEM", generation: 1, challengeSecret: { enc: keyOf("stranger"), ct: filled(48, 1) }, record } };
  return { clock, logged, invitations, invite, answer };
}

async function requestOf(by = "box-6", of = site): Promise<BoxRequest> {
  const signer = generateSigner();
  return await signStatement(signer, "box-request", of, by, { zone: "here", key: signer.publicKey, sealKey: { generation: 1, key: keyOf("stranger") }, tlsKey: "PEM" });
}

/** What comes back to a box with this code; undefined for silence. */
function say({ invitations }: { invitations: Invitations }, code: string, content: unknown): JoinReply | undefined {
  const { secret } = readCode(code);
  const said = invitations.hear(JSON.stringify(sealFrame(secret, site, "ask", systemRandom.bytes(12), content)));
  return said === undefined ? undefined : joinReply.parse(openFrame(secret, site, "reply", frame.parse(JSON.parse(said))));
}

void t.test("a code is for one box and one request; the answer is there for who asks again", async (t) => {
  const here = await scene();
  const code = here.invite();
  const request = await requestOf();
  t.equal(here.invitations.requestOf("box-6"), undefined);
  here.invitations.answered(here.answer);
  t.same(say(here, code, { request }), { state: "waiting" }, "an answer to nothing is none");
  t.same(here.invitations.requestOf("box-6"), request);
  t.match(say(here, code, { request: await requestOf() }), { state: "refused", code: "NAME_TAKEN", message: /another box/ }, "another key under the same code");
  t.match(say(here, code, { request: await requestOf("box-7") }), { state: "refused", code: "NAME_TAKEN", message: /for box-6/ });
  t.match(say(here, code, { request: await requestOf("box-6", "elsewhere") }), { state: "refused", code: "REQUEST_INVALID" });
  t.match(say(here, code, { request: { ...request, sig: filled(64, 0) } }), { state: "refused", code: "REQUEST_INVALID" });
  t.match(say(here, code, { nonsense: true }), { state: "refused" });
  t.same(here.invitations.requestOf("box-6"), request, "none of them takes its place");
  here.invitations.answered(here.answer);
  t.same(say(here, code, { request }), { state: "answered", answer: here.answer });
  t.same(say(here, code, { request }), { state: "answered", answer: here.answer }, "it was lost on its way");
});

void t.test("a code ends: with its time, with a newer one, by order; and nobody gets a word without one", async (t) => {
  const here = await scene();
  const request = await requestOf();
  const first = here.invite();
  const second = here.invite();
  t.equal(say(here, first, { request }), undefined, "the newer one counts");
  t.same(say(here, second, { request }), { state: "waiting" });
  await here.clock.advance(hour);
  t.equal(say(here, second, { request }), undefined, "its time is over");
  const third = here.invite();
  here.invitations.end("box-6");
  t.equal(say(here, third, { request }), undefined);
  const fourth = here.invite();
  const { secret } = readCode(fourth);
  const good = sealFrame(secret, site, "ask", systemRandom.bytes(12), { request });
  for (const line of ["", "{}", "x".repeat(100), JSON.stringify({ ...good, v: 2 }), JSON.stringify({ ...good, id: filled(8, 0) }), JSON.stringify({ ...good, ct: filled(200, 0) }), JSON.stringify({ ...good, more: 1 })]) t.equal(here.invitations.hear(line), undefined, line.slice(0, 40));
  t.equal(here.invitations.requestOf("box-6"), undefined, "and what it says counts for nothing");
  t.equal(say(here, writeCode(keyOf("authority"), systemRandom.bytes(10)), { request }), undefined, "a code that was guessed");
});

void t.test("for whom there is a code at all", async (t) => {
  const here = await scene();
  for (const box of ["cli", "box-8"]) t.throws(() => here.invite(box), { code: "NAME_TAKEN" }, box);
  t.doesNotThrow(() => here.invite("box-1"), "a box of this site whose answer was lost");
  t.match(say(here, here.invite("box-1"), { request: await requestOf("box-1") }), { state: "refused", code: "NAME_TAKEN" }, "but only with its own key");
  for (let n = 10; n < 25; n++) here.invite(`box-${n}`);
  t.throws(() => here.invite("box-30"), { code: "TOO_MANY_INVITATIONS" });
  t.doesNotThrow(() => here.invite("box-10"), "a newer one in the place of an older");
  const off = await scene({});
  t.throws(() => off.invite(), { code: "JOIN_OFF" });
});

/** A box with its code, and somebody between it and the coordinator. */
async function join(meddle: (line: string, pass: (line: string) => string | undefined) => string | undefined, { code: typed }: { code?: string } = {}) {
  const here = await scene();
  const invited = here.invite();
  const request = await requestOf();
  let waits = 0;
  const ask = (line: string): Promise<string> => {
    const said = meddle(line, (one) => here.invitations.hear(one));
    return said === undefined ? Promise.reject(new ShardkeepError("LINE_UNANSWERED", "nobody", { retryable: true })) : Promise.resolve(said);
  };
  const code = readCode(typed ?? invited);
  const joined = joinByCode({ ask, clock: here.clock, random: systemRandom, onWaiting: () => { waits += 1; } }, code, request);
  joined.catch(() => undefined);
  return { ...here, request, joined, waits: () => waits, isSecretGone: () => code.secret.every((byte) => byte === 0) };
}

void t.test("the box asks until people have let it in", async (t) => {
  const { clock, invitations, request, joined, answer, waits, isSecretGone } = await join((line, pass) => pass(line));
  await clock.advance(60_000);
  t.notOk(isSecretGone());
  t.same(invitations.requestOf("box-6"), request);
  t.equal(waits(), 1, "said once");
  invitations.answered(answer);
  await clock.advance(2000);
  t.same(await joined, answer);
  t.ok(isSecretGone(), "the code is good once");
});

void t.test("whoever stands between the two learns nothing and changes nothing", async (t) => {
  const seen: string[] = [];
  const replies: string[] = [];
  let n = 0;
  // Changes, repeats, reflects, invents and swallows; now and then something goes through.
  const { clock, invitations, request, joined, answer } = await join((line, pass) => {
    seen.push(line);
    const kinds: (() => string | undefined)[] = [
      () => line, () => JSON.stringify({ ...JSON.parse(line), ct: filled(80, 0) }), () => undefined, () => JSON.stringify({ state: "refused", code: "NAME_TAKEN", message: "go away" }), () => replies[0] ?? "",
      () => pass(line.replace(/"ct":"./, '"ct":"_')), () => "{", () => { const said = pass(line); if (said !== undefined) replies.push(said); return said; },
    ];
    return kinds[n++ % kinds.length]?.();
  });
  await clock.advance(30_000);
  t.same(invitations.requestOf("box-6"), request);
  invitations.answered(answer);
  await clock.advance(30_000);
  t.same(await joined, answer);
  const text = [...seen, ...replies].join("\n");
  for (const [what, secret] of [["the box's key", request.body.key], ["its name", "box-6"], ["a person", "alice"], ["the authority", keyOf("authority")]] as const) {
    t.notOk(text.includes(secret) || text.includes(Buffer.from(secret).toString("base64url")), what);
  }
});

void t.test("a box that is not taken", async (t) => {
  const silent = await join(() => undefined);
  await silent.clock.advance(25_000);
  await t.rejects(silent.joined, { code: "NOBODY_ANSWERS", retryable: true });
  t.ok(silent.isSecretGone());
  const other = await join((line, pass) => pass(line), { code: writeCode(keyOf("authority"), systemRandom.bytes(10)) });
  await other.clock.advance(25_000);
  await t.rejects(other.joined, { code: "NOBODY_ANSWERS" }, "a code that nobody gave");
  const here = await scene();
  const invited = here.invite();
  const named = writeCode(keyOf("stranger"), readCode(invited).secret);
  const request = await requestOf();
  const joined = joinByCode({ ask: (line) => Promise.resolve(here.invitations.hear(line) ?? ""), clock: here.clock, random: systemRandom, onWaiting: () => undefined }, readCode(named), request);
  joined.catch(() => undefined);
  await here.clock.advance(2000);
  here.invitations.answered(here.answer);
  await here.clock.advance(2000);
  await t.rejects(joined, { code: "AUTHORITY_WRONG" }, "the code names another authority than the one that answers");
  const refused = joinByCode({ ask: (line) => Promise.resolve(here.invitations.hear(line) ?? ""), clock: here.clock, random: systemRandom, onWaiting: () => undefined }, readCode(invited), await requestOf());
  await t.rejects(refused, JoinError);
  await t.rejects(refused, { code: "JOIN_REFUSED", message: /NAME_TAKEN: this code was used by another box/ });
});
