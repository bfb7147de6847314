import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { makeFolder, writeDurably } from "../../../agent/runtime/durable.ts";
import { putJson } from "../../../agent/store/json.ts";
import { createStore } from "../../../agent/store/level.ts";
import { readBoxInstallation, type BoxInstallation } from "../../../provisioning/machine/installation.ts";

const key = (end: string): string => `B${"A".repeat(85)}${end}`;
const record = { type: "site-record", site: "plant", by: "coordinator", sig: "A".repeat(86), body: {
  version: 3, previous: null, sealed: false, authority: key("A"), tlsAuthority: "A".repeat(43), coordinator: { id: "coordinator", key: key("A") }, boxes: [], people: [], clients: [], roles: [], rules: [],
} };

/** A box as files: the store is a real one, what a token's files hold is nobody's business here. */
export async function box(t: Test): Promise<{ readonly at: (...path: string[]) => string; readonly file: string; readonly of: BoxInstallation; readonly config: (change: object, name?: string) => string }> {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-backup-test-"));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  const at = (...path: string[]): string => join(folder, ...path);
  const config = (change: object, name = "box.yaml"): string => {
    writeFileSync(at(name), JSON.stringify({ site: "plant", box: "box-1", state: "box-1", hsm: { module: "none", token: "box-1", pinFile: "box-1/pin", softhsmConf: "box-1/softhsm2.conf" }, broker: "mqtts://127.0.0.1:1", sensor: { path: "tty" }, ...change }));
    return at(name);
  };
  const file = config({});
  makeFolder(at("box-1", "tls"));
  makeFolder(at("box-1", "tokens", "1234"));
  for (const [name, content] of [["pin", "314159"], ["owner.json", "{}"], ["sensor.lock", ""], ["sensor.json", "\x00\x01"], ["tls/box-1.key.pem", "key"], ["tokens/owner.lock", ""], ["tokens/1234/token.object", "token"], ["tokens/1234/a.lock", ""]] as const) writeDurably(at("box-1", name), content);
  writeFileSync(at("box-1", "softhsm2.conf"), `directories.tokendir = ${at("box-1", "tokens")}\n`);
  const store = await createStore(at("box-1", "store"));
  await store.commit([putJson("site-record", record)]);
  await store.close();
  return { at, file, of: readBoxInstallation(file), config };
}
