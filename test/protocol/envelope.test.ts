import t from "tap";
import fc from "fast-check";
import { CertificateCache, mostMessageBytes, readEnvelope, writeEnvelope, type Reader } from "../../agent/protocol/envelope.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { beginSession } from "../../agent/protocol/session.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const identity = generateSigner();
const other = generateSigner();
const session = await beginSession(identity, "demo", "box-1", systemRandom);
const reader = (change: Partial<Reader> = {}): Reader => ({
  site: "demo", self: "coordinator", keyOf: (sender) => (sender === "box-1" ? identity.publicKey : sender === "box-2" ? other.publicKey : undefined), certificates: new CertificateCache(), ...change,
});
const id = toBase64url(new Uint8Array(16));
const write = () => writeEnvelope(session, { to: "coordinator", type: "event/heartbeat", id, data: { a: 1 } });
type Json = Record<string, never>;
const changed = (payload: Uint8Array, change: (message: { v: number; cert: { by: string; site: string; body: Json; sig: string }; body: { to: string; data: unknown; type: string }; sig: string }) => void): Uint8Array => {
  const message = JSON.parse(new TextDecoder().decode(payload)) as Parameters<typeof change>[0];
  change(message);
  return new TextEncoder().encode(JSON.stringify(message));
};

void t.test("a message arrives as it was sent", async (t) => {
  const read = readEnvelope(await write(), reader());
  t.strictSame([read.cert.by, read.body.data, read.body.type], ["box-1", { a: 1 }, "event/heartbeat"]);
});

void t.test("everything in it is bound", async (t) => {
  const payload = await write();
  const refused = (change: Parameters<typeof changed>[1], code: string, options: Partial<Reader> = {}) => t.throws(() => readEnvelope(changed(payload, change), reader(options)), { code });
  refused((m) => { m.body.data = { a: 2 }; }, "SIGNATURE_INVALID");
  refused((m) => { m.body.type = "event/state"; }, "SIGNATURE_INVALID");
  refused((m) => { m.body.to = "*"; }, "SIGNATURE_INVALID");
  refused((m) => { m.cert.by = "box-2"; }, "SIGNATURE_INVALID");
  refused((m) => { m.cert.by = "box-9"; }, "SENDER_UNKNOWN");
  refused((m) => { m.cert.site = "other"; }, "WRONG_SITE");
  refused((m) => { m.sig = m.cert.sig; }, "SIGNATURE_INVALID");
  refused((m) => { m.v = 2; }, "MESSAGE_MALFORMED");
  refused((m) => { (m as unknown as Record<string, number>)["extra"] = 1; }, "MESSAGE_MALFORMED");
  t.throws(() => readEnvelope(payload, reader({ self: "box-2" })), { code: "WRONG_AUDIENCE" });
  t.throws(() => readEnvelope(payload, reader({ site: "other" })), { code: "WRONG_SITE" });
  t.throws(() => readEnvelope(new Uint8Array(mostMessageBytes + 1), reader()), { code: "MESSAGE_MALFORMED" });
});

void t.test("a session of another identity, or a key that nobody certified", async (t) => {
  const stolen = await beginSession(other, "demo", "box-1", systemRandom);
  const payload = await writeEnvelope(stolen, { to: "coordinator", type: "event/heartbeat", id, data: null });
  t.throws(() => readEnvelope(payload, reader()), { code: "SIGNATURE_INVALID" });
  const mixed = await writeEnvelope({ certificate: session.certificate, signer: other }, { to: "coordinator", type: "event/heartbeat", id, data: null });
  t.throws(() => readEnvelope(mixed, reader()), { code: "SIGNATURE_INVALID" });
});

void t.test("arbitrary bytes are refused by name", async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      readEnvelope(bytes, reader());
      return false;
    } catch (error) {
      return (error as { code?: string }).code === "MESSAGE_MALFORMED";
    }
  }));
  const whole = await write();
  fc.assert(fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
    const bytes = Uint8Array.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ flip;
    try {
      readEnvelope(bytes, reader());
      return false;
    } catch (error) {
      return ["MESSAGE_MALFORMED", "SIGNATURE_INVALID", "SENDER_UNKNOWN", "WRONG_SITE", "WRONG_AUDIENCE"].includes((error as { code?: string }).code ?? "");
    }
  }), { numRuns: 300 });
});

void t.test("a nonce is honoured for its window, by whom it was issued, in this life", async (t) => {
  const clock = new VirtualClock();
  const book = new NonceBook(clock, systemRandom);
  const nonce = book.issue();
  t.ok(book.honours(nonce));
  t.ok(book.honours(nonce), "it is not consumed");
  t.notOk(new NonceBook(clock, systemRandom).honours(nonce));
  await clock.advance(5 * 60_000);
  t.ok(book.honours(nonce));
  await clock.advance(1);
  t.notOk(book.honours(nonce));
});
