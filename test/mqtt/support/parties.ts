import { z } from "zod";
import { Exchange, type RequestHandlers } from "../../../agent/mqtt/exchange.ts";
import { CertificateCache, type EnvelopeBody } from "../../../agent/protocol/envelope.ts";
import { generateSigner } from "../../../agent/protocol/es256.ts";
import type { RequestTable } from "../../../agent/protocol/messages.ts";
import { NonceBook } from "../../../agent/protocol/nonces.ts";
import { beginSession } from "../../../agent/protocol/session.ts";
import { systemRandom } from "../../../agent/runtime/random.ts";
import { MemoryHub, type Delivery } from "../../support/memory-transport.ts";
import { settle, VirtualClock } from "../../support/virtual-clock.ts";

export const table = {
  add: { request: z.strictObject({ a: z.int(), b: z.int() }), part: z.strictObject({ step: z.int() }), response: z.strictObject({ sum: z.int() }) },
  hello: { request: z.strictObject({}), response: z.strictObject({}), fresh: false },
  unserved: { request: z.strictObject({}), response: z.strictObject({}) },
} as const satisfies RequestTable;
type Handlers = RequestHandlers<typeof table>;
export const ask = { a: 2, b: 3 };

/** Three parties of one site; every message passes `sent` and what a test makes of it. */
export async function scene(handlers: Partial<Handlers> = {}) {
  const clock = new VirtualClock();
  const hub = new MemoryHub();
  const sent: Delivery[] = [];
  hub.onDelivery = (delivery) => { sent.push(delivery); queueMicrotask(delivery.deliver); };
  const logged: string[] = [];
  const note = (event: string): void => { logged.push(event); };
  const keys = new Map(["a", "b", "c"].map((id) => [id, generateSigner()]));
  const books = new Map(["a", "b", "c"].map((id) => [id, new NonceBook(clock, systemRandom)]));
  /** What a party takes for the latest nonce of another. */
  const heard = { freshOf: (peer: string): string | undefined => books.get(peer)?.issue() };
  const party = async (id: string) => {
    const session = await beginSession(keys.get(id)!, "demo", id, systemRandom);
    const transport = hub.connect(id);
    const exchange = new Exchange({
      transport, session, clock, random: systemRandom, log: { info: note, warn: note, error: note }, nonces: books.get(id)!,
      reader: { site: "demo", self: id, keyOf: (sender) => keys.get(sender)?.publicKey, certificates: new CertificateCache() },
      freshOf: (peer) => heard.freshOf(peer), topicFor: (peer, kind) => `${peer}/${kind}`,
    });
    await transport.subscribe([`${id}/request`, `${id}/response`, "all"]);
    return { exchange, transport, boot: session.certificate.body.boot };
  };
  const [a, b, c] = [await party("a"), await party("b"), await party("c")];
  const calls: unknown[] = [];
  b.exchange.serve(table, {
    add: (data, call) => { calls.push([data, call.from, call.boot, call.deadlineMs]); return Promise.resolve({ sum: data.a + data.b }); },
    hello: () => { calls.push("hello"); return Promise.resolve({}); },
    ...handlers,
  } as Handlers);
  /** One message of `from` to b as its session would write it, whatever it says. */
  const raw = async (from: typeof a, body: Partial<EnvelopeBody>, data: unknown): Promise<void> => {
    const { type = "request/add", to = "b", ...extra } = body;
    await from.transport.publish(`${to}/${type.startsWith("response/") ? "response" : "request"}`, await from.exchange.write(to, type, data, extra));
    await settle();
  };
  return { clock, hub, sent, logged, books, heard, a, b, c, calls, raw };
}
export const bodyOf = ({ payload }: Delivery): EnvelopeBody => (JSON.parse(new TextDecoder().decode(payload)) as { body: EnvelopeBody }).body;
export const answersOf = (sent: readonly Delivery[]) => sent.filter(({ topic }) => topic.endsWith("/response"));
