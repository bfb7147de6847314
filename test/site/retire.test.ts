import t from "tap";
import { Shelf } from "../../agent/box/shelf.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { withoutBox } from "../../agent/rules/record-edits.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, changeRecord, finish, touch, use } from "../support/use.ts";

const one = { key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const rules = [one, { ...one, key: "site", operations: ["record"] }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1", "box-5"] }];
const epoch = (site: InProcessSite, box: string): string => new Shelf(site.box(box).store, "test", box).all().map(({ state, record }) => `${state} ${record.epoch}`).join(", ") || "none";

void t.test("a box that retires: out of the key, its shards destroyed, out of the record and its secret forgotten", async (t) => {
  const logged: string[] = [];
  const note = (event: string, fields?: Readonly<Record<string, unknown>>): void => { logged.push(`${event} ${JSON.stringify(fields ?? {})}`); };
  const log: Log = { info: note, warn: note, error: note };
  const site = await InProcessSite.start({ people, rules, log, config: { reshardWindowMs: 0, steadyMs: 4000 } });
  const ask = <N extends "box-retire" | "client-remove" | "status">(name: N, data: unknown, client = "cli") => finish(site, site.clients.get(client)!.exchange.request(clientRequests, name, coordinatorId, data as never), 10_000);
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);

  await t.rejects(ask("box-retire", { box: "box-9" }), { code: "UNKNOWN_BOX" });
  await t.rejects(ask("box-retire", { box: "cli" }), { code: "UNKNOWN_BOX" });
  await t.rejects(ask("client-remove", { client: "cli" }), { code: "RECORD_SEALED" });
  await ask("box-retire", { box: "box-5" });
  await ask("box-retire", { box: "box-5" });
  t.equal(logged.filter((line) => line === "quarantine {\"box\":\"box-5\",\"reason\":\"RETIRING\"}").length, 1 + 4, "said once here, and once at each of the others");
  await site.clock.until(() => epoch(site, "box-5") === "none", 60_000, "box-5 holds nothing");
  await site.clock.advance(10_000);
  t.strictSame(await site.box("box-5").hsm.sealKeys(), [2], "it has destroyed what its shard was sealed with");
  const { keys } = await ask("status", {});
  t.match(keys, [{ holders: ["box-1", "box-2", "box-3", "box-4"], exposures: [] }]);

  const change = changeRecord(site, "cli", withoutBox("box-5"));
  await touch(site, "box-1", "alice");
  await finish(site, change);
  await site.clock.advance(10_000);
  t.strictSame((await ask("status", {})).boxes.map(({ box }) => box), ["box-1", "box-2", "box-3", "box-4"]);
  await t.rejects(site.coordinatorHsm.mac({ box: "box-5", message: new Uint8Array(1) }), { code: "KEY_MISSING" });
  await site.coordinatorHsm.mac({ box: "box-4", message: new Uint8Array(1) });
  const sealed = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-1", "alice");
  await finish(site, sealed);

  logged.length = 0;
  await site.restartBox("box-1");
  await site.clock.advance(20_000);
  t.strictSame(logged.filter((line) => line.includes("box-5") && !line.includes("SENDER_UNKNOWN")), [], "nobody speaks of it any more, nor to it, nor listens");
});
