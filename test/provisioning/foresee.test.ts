import t from "tap";
import type { Client } from "../../agent/client/index.ts";
import { withBox, withClient, withoutBox, withoutClient } from "../../agent/rules/record-edits.ts";
import { foreseeRecord, foreseeReshard } from "../../provisioning/foresee.ts";
import { current } from "../rules/reshard/support.ts";
import { body, keyOf, record, signRecord } from "../rules/support/site.ts";
import { rule } from "../../agent/protocol/site-record.ts";

const config = { client: "cli" } as Client["config"];
const changeable = await signRecord({ rules: [...body.rules, rule.parse({ key: "site", operations: ["record"], require: [{ role: "officer", people: 2 }] })] });

void t.test("a version of the record: what changes, whose fingers are wanted and where, or what every box would refuse", async (t) => {
  const one = { record: changeable, config };
  t.match(foreseeRecord(one, withoutClient("service")), { step: "record", state: "would change", version: 6, changes: [/^- client service/, "+ retired name service"], wanted: ["bob at box-2 or box-3"] }, "the requester does not approve the own request");
  t.strictSame(foreseeRecord(one, (same) => same), { step: "record", state: "ok", version: 5 });
  t.match(foreseeRecord(one, withBox({ id: "box-1", zone: "here", key: keyOf("stranger") })), { state: "failed", code: "RECORD_INVALID", message: /box-1 stands twice/ });
  t.match(foreseeRecord(one, withoutBox("box-1")), { state: "failed", code: "RECORD_UNCHANGEABLE" }, "alice's only finger goes with it");
  t.match(foreseeRecord({ record, config }, withClient({ id: "new", key: keyOf("stranger"), admin: false })), { state: "failed", code: "RECORD_UNCHANGEABLE" }, "no rule lets people change it");
  const unsealed = foreseeRecord({ record: await signRecord({ sealed: false }), config }, withoutClient("service"));
  t.match(unsealed, { state: "would change", version: 6 });
  t.notOk("wanted" in unsealed, "an administrator's word is enough");
});

/** A site whose boxes are in these states, all five holding a key, 3 of 5. */
function siteOf(states: readonly string[], zonesLimited = false): Client {
  const boxes = states.map((state, i) => ({ box: `box-${i + 1}`, zone: "a", state }));
  const keys = [{ key: "payroll", holders: current.holders.map(({ box }) => box) }];
  return {
    record: { body: { noZoneHoldsThreshold: zonesLimited } }, config,
    status: () => Promise.resolve({ boxes, keys }), request: () => Promise.resolve({ record: current }),
  } as unknown as Client;
}

void t.test("the keys of a box that goes", async (t) => {
  const ready = Array.from({ length: 5 }, () => "ready");
  t.strictSame(await foreseeReshard(siteOf(ready), "box-5"), { step: "re-sharding", state: "would change", keys: 1 });
  t.strictSame(await foreseeReshard(siteOf([...ready, "ready"]), "box-6"), { step: "re-sharding", state: "ok" }, "it holds none");
  const two = [...ready.slice(0, 3), "lost", "ready"];
  t.match(await foreseeReshard(siteOf(two), "box-5"), { state: "failed", code: "RESHARD_HELD", message: /payroll would be held, several-out/, remedy: /join another box/ });
  t.match(await foreseeReshard(siteOf(ready, true), "box-5"), { state: "failed", message: /zones/ });
  t.match(await foreseeReshard(siteOf([...ready.slice(0, 4), "maintenance"]), "box-1"), { state: "would change" }, "one that is away comes back by itself");
  const joining = { id: "box-6", zone: "a" };
  t.match(await foreseeReshard(siteOf([...ready.slice(0, 4), "lost"]), "box-5", joining), { state: "would change", keys: 1 });
});

void t.test("with as many left as the threshold, the new shards are to be proven by a use", async (t) => {
  const few = { ...current, threshold: 2, margin: 1, size: 3, holders: current.holders.slice(0, 3) };
  const site = Object.assign(siteOf(["ready", "ready", "lost", "ready"]), { request: () => Promise.resolve({ record: few }) });
  t.strictSame(await foreseeReshard(site, "box-3"), { step: "re-sharding", state: "would change", keys: 1, "then to be used once": ["payroll"] });
});
