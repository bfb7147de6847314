import { existsSync } from "node:fs";
import t, { type Test } from "tap";
import { connectClient, readClient, systemParts } from "../../agent/client/index.ts";
import { readTls, tlsPaths } from "../../agent/mqtt/tls-files.ts";
import { ProcessSite } from "../../provisioning/demo/process-site.ts";
import { waitUntil } from "../../provisioning/demo/wait.ts";
import { mosquitto, type BrokerUnderTest } from "../mqtt/support/brokers.ts";
import "../support/plain-children.ts";

const boxes = ["box-1", "box-2", "box-3"];

/** A site of processes that knows Mosquitto's two listeners and nothing of an embedded broker. */
async function siteOn(t: Test, broker: BrokerUnderTest, of: (site: ProcessSite) => void): Promise<ProcessSite> {
  const site = new ProcessSite({
    boxes, boxEntry: "test/bench/instant-box.js",
    coordinator: { broker: { url: broker.boxUrl, clients: broker.clientUrl } }, box: { broker: broker.boxUrl },
  });
  of(site);
  t.teardown(async () => { await site.end(false); await broker.stop(); });
  // Its certificate is made by `site init`, the last of the files that the broker reads.
  await site.provision([waitUntil("the broker's certificate", 20_000, () => Promise.resolve(existsSync(tlsPaths(site.path("coordinator"), "broker").certificate)))
    .then(() => broker.start())]);
  await site.startBoxes();
  return site;
}

let site: ProcessSite | undefined;
const broker = await mosquitto({ get broker() { return readTls(site?.path("coordinator") ?? "", "broker"); } });

const told = "a whole site on Mosquitto: a key is born, used by two commands at once, re-sharded; the broker goes and comes back";
if (broker === null) t.pass(told, { skip: "mosquitto is not installed: apt-get install mosquitto" });
else void t.test(told, async (t) => {
  const made = await siteOn(t, broker, (begun) => { site = begun; });
  const { client } = made;
  await client.request("person-enrol", { person: "alice", finger: "index", box: "box-1", roles: ["officer"] });
  await client.request("site-apply", { policy: {
    roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }], clients: [],
    rules: [{ key: "payroll", resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }],
  } });
  await client.request("site-seal", {});
  await made.boxesReady();

  const ask = { key: "payroll", resource: "payroll/march", reason: "test" } as const;
  await client.use({ ...ask, operation: "create", payload: new Uint8Array(), create: { kind: "aes-256", threshold: 2, holders: boxes, imported: false } });
  const payload = new TextEncoder().encode("a payroll");
  const { result: sealed } = await client.use({ ...ask, operation: "encrypt", payload });

  // Two commands of one client: on the boxes' listener the second would cut off the first.
  const second = await connectClient(readClient(made.path("coordinator", "clients", "admin", "client.yaml")), systemParts);
  t.teardown(() => second.close());
  for (const { result } of await Promise.all([client, second].map((one) => one.use({ ...ask, operation: "decrypt", payload: sealed })))) t.strictSame(new Uint8Array(result), payload);

  const { record } = await client.request("key-reshard", { key: "payroll" });
  t.equal(record.epoch, 2);
  await broker.stop();
  await broker.start();
  await made.boxesReady();
  const { result } = await client.use({ ...ask, operation: "decrypt", payload: sealed });
  t.strictSame(new Uint8Array(result), payload);
});
