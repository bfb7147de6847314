import t from "tap";
import type { BoxParts } from "../../agent/box/parts.ts";
import { Probe } from "../../agent/box/probe.ts";
import type { Shelf } from "../../agent/box/shelf.ts";
import { probeMessage } from "../../agent/protocol/heartbeat.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { filled } from "../rules/support/site.ts";

/** A box that holds shards of `keys`; `broken` do not open. */
function scene(keys: readonly string[]) {
  const broken = new Map<string, () => Promise<boolean>>();
  const shelf = { all: () => keys.map((key) => ({ record: { key } })), batch: (all: readonly { record: { key: string } }[]) => all.map(({ record }) => record.key), inventory: () => filled(32, 1) };
  const hsm = {
    checkShards: (keys: readonly string[]) => Promise.all(keys.map((key) => broken.get(key)?.() ?? Promise.resolve(true))),
    mac: ({ box, message }: { box: string; message: Uint8Array }) => (box === "box-1" ? Promise.resolve(message) : Promise.reject(new Error("no such secret"))),
  };
  return { broken, probe: new Probe({ site: "demo", box: "box-1", hsm } as unknown as BoxParts, shelf as unknown as Shelf) };
}

void t.test("shards are opened in turn; one that does not open keeps its turn until it does", async (t) => {
  const { probe, broken } = scene(["a", "b", "c"]);
  const next = () => probe.verifyNext();
  t.strictSame([await next(), await next(), await next(), await next()], ["a", "b", "c", "a"].map((key) => ({ key, ok: true })));
  for (const how of [() => Promise.resolve(false), () => Promise.reject(new Error("unplugged"))]) {
    broken.set("b", how);
    t.strictSame([await next(), await next()], [{ key: "b", ok: false }, { key: "b", ok: false }]);
    broken.clear();
    t.strictSame([await next(), await next(), await next()], ["b", "c", "a"].map((key) => ({ key, ok: true })));
  }
  t.equal(await scene([]).probe.verifyNext(), null);
});

void t.test("a probe is answered with the HSM's MAC over site, nonce and box, and with the next shard", async (t) => {
  const { probe } = scene(["a"]);
  const nonce = filled(16, 7);
  t.strictSame(await probe.answer(nonce), { mac: toBase64url(probeMessage("demo", nonce, "box-1")), verified: { key: "a", ok: true }, inventory: filled(32, 1) });
});
