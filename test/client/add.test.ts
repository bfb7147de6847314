import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { addClient } from "../../agent/client/add.ts";
import type { ClientEntry } from "../../agent/client/file-pair.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { certifying } from "./certifying.ts";

void t.test("on a sealed site the people let a client in before it is certified; cut off there, the same call goes on", async (t) => {
  const folder = join(t.testdir({}), "laptop");
  const { admin, said } = await certifying("demo");
  const made = { id: "laptop", person: "alice", folder };
  const entries: ClientEntry[] = [];
  await t.rejects(addClient(admin, made, (entry) => { entries.push(entry); return Promise.reject(new ShardkeepError("TIMED_OUT", "late")); }), { code: "TIMED_OUT" });
  t.strictSame([said, existsSync(join(folder, "client.yaml"))], [[], false]);
  const file = await addClient(admin, made, (entry) => { entries.push(entry); return Promise.resolve(); });
  t.strictSame(entries[0], entries[1], "with the same key");
  t.match(entries[0], { id: "laptop", person: "alice", admin: false });
  t.match(said, [["client-approve", { ...entries[0], tlsKey: /PUBLIC KEY/ }]]);
  t.strictSame(readdirSync(folder).sort(), ["ca.crt", "client.yaml", "signing.key", "tls.crt", "tls.key"]);
  t.match(readFileSync(file, "utf8"), /client: laptop/);
  await t.rejects(addClient(admin, made), { code: "CLIENT_EXISTS" });
});
