import t from "tap";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { useBody as schema } from "../../agent/protocol/request.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

async function scene() {
  const site = await InProcessSite.start({ people, rules, clients: { cli: undefined, other: undefined } });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const sign = (change: object = {}, by = "cli", signer = by) => signStatement(site.clients.get(signer)!.signer, "use", "test", by, schema.parse({
    request: toBase64url(systemRandom.bytes(16)), reason: "test", key: "payroll", operation: "encrypt", resource: "a",
    commitment: toBase64url(new Uint8Array(32)), resultKey: toBase64url(generateRecipient().publicKey), ...change,
  }));
  const ask = <K extends "use" | "payload" | "cancel">(client: string, name: K, data: unknown) => {
    const { exchange } = site.clients.get(client)!;
    const asked = exchange.request(clientRequests, name, coordinatorId, data as never, { deadlineMs: 30_000 });
    asked.catch(() => undefined);
    return asked;
  };
  return { site, sign, ask };
}

void t.test("a request is its client's own, once", async (t) => {
  const { site, sign, ask } = await scene();
  const refused = async (data: unknown, code: string, client = "cli"): Promise<void> => { await t.rejects(finish(site, ask(client, "use", data)), { code }); };
  await refused({ use: await sign({}, "cli", "other") }, "REQUEST_FORGED");
  await refused({ use: await sign() }, "REQUEST_FORGED", "other");
  await refused({ use: await sign({ operation: "create" }) }, "REQUEST_FORGED");
  await refused({ use: await sign({ create: birth.create }) }, "REQUEST_FORGED");
  await refused({ use: await sign({ operation: "mac" }) }, "NOT_PERMITTED");
  const made = await sign();
  const running = ask("cli", "use", { use: made });
  await site.clock.advance(100);
  await refused({ use: made }, "REQUEST_REPEATED");
  const { request } = made.body;
  const payload = { enc: made.body.resultKey, ct: toBase64url(new Uint8Array(48)) };
  await t.rejects(finish(site, ask("other", "cancel", { request })), { code: "UNKNOWN_REQUEST" }, "nobody else takes it back");
  await t.rejects(finish(site, ask("other", "payload", { request, payload })), { code: "UNKNOWN_REQUEST" }, "nor brings its payload");
  await finish(site, ask("cli", "cancel", { request }));
  await t.rejects(finish(site, running), { code: "CANCELLED" });
  await t.rejects(finish(site, ask("cli", "cancel", { request })), { code: "UNKNOWN_REQUEST" }, "what has ended is gone");
  await refused({ use: made }, "REQUEST_REPEATED");
  t.equal(fromBase64url(request)?.length, 16);
});

void t.test("too many at once are refused, and the places come back", async (t) => {
  const { site, sign, ask } = await scene();
  const uses = await Promise.all(Array.from({ length: 32 }, () => sign()));
  const running = uses.map((one) => ask("cli", "use", { use: one }));
  await site.clock.advance(100);
  await t.rejects(finish(site, ask("cli", "use", { use: await sign() })), { code: "TOO_MANY_OPERATIONS", retryable: true });
  await finish(site, ask("cli", "cancel", { request: uses[0]!.body.request }));
  await t.rejects(finish(site, running[0]!), { code: "CANCELLED" });
  const next = await sign();
  const more = ask("cli", "use", { use: next });
  await site.clock.advance(100);
  await finish(site, ask("cli", "cancel", { request: next.body.request }));
  await t.rejects(finish(site, more), { code: "CANCELLED" });
});
