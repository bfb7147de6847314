import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { readClient } from "../../agent/client/index.ts";
import { verifyEs256 } from "../../agent/protocol/es256.ts";
import { siteRecord, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { verifyStatement } from "../../agent/protocol/statement.ts";
import { toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { getJson } from "../../agent/store/json.ts";
import { openStore } from "../../agent/store/level.ts";
import { place, run, shardkeep, stepsOf, withoutSoftHsm, type Place } from "./support.ts";

const init = "agent/coordinator/init.js";
const steps = ["token", "store", "identity key", "authority key", "tls", "client", "site-record", "site"];

async function recordOf({ at }: Place): Promise<SiteRecord | undefined> {
  const store = await openStore(at("coordinator", "store"));
  try {
    return getJson(store, "site-record", siteRecord);
  } finally {
    await store.close();
  }
}

/** Every file below a folder with its content, but those that any opening touches. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !/store|tokens|\.lock$/.test(path)).map((path) => [path, readFileSync(path, "base64")]));
}

void t.test("a site is made, and a second run changes nothing", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const config = here.coordinator();
  const first = await run(init, ["--config", config]);
  t.equal(first.code, 0, first.stderr);
  t.same(stepsOf(first.stdout).map(({ step }) => step), steps);
  t.ok(stepsOf(first.stdout).every(({ step, state }) => state === (step === "site" ? "ok" : "changed")));

  const record = (await recordOf(here))!;
  t.ok(verifyStatement(record, "plant", record.body.authority), "signed by the authority that it names");
  t.match(record, { by: "coordinator", body: { version: 1, previous: null, sealed: false, coordinator: { id: "coordinator" }, boxes: [], rules: [] } });
  const { config: client, signer } = readClient(here.at("coordinator", "clients", "admin", "client.yaml"));
  t.match(client, { site: "plant", client: "admin", broker: "mqtts://127.0.0.1:1", authority: record.body.authority });
  const [admin] = record.body.clients;
  t.match(admin, { id: "admin", admin: true });
  t.ok(verifyEs256(admin!.key, utf8("x"), toBase64url(await signer.sign(utf8("x")))), "the record has the key in the admin's folder");
  for (const secret of ["pin", "owner.json", "tls/ca.key.pem", "tls/broker.key.pem", "tls/coordinator.key.pem", "clients/admin/signing.key", "clients/admin/tls.key"]) {
    t.equal(statSync(here.at("coordinator", secret)).mode & 0o777, 0o600, secret);
  }

  const before = contents(here.at("coordinator"));
  const second = await run(init, ["--config", config]);
  t.equal(second.code, 0, second.stderr);
  t.ok(stepsOf(second.stdout).every(({ state }) => state === "ok"), "everything is there");
  t.same(contents(here.at("coordinator")), before, "no file was written");
  t.same(await recordOf(here), record);

  const shown = await shardkeep(["site", "init", "--config", config, "--json"]);
  t.equal((JSON.parse(shown.stdout) as { steps: unknown[] }).steps.length, 4, "the command says the same");
  const next = await shardkeep(["site", "init", "--config", config]);
  t.match(next.stdout, /shardkeep coordinator --config[^]*SHARDKEEP_CLIENT=.*client\.yaml/);
});

void t.test("cut off after any step, the next run goes on", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const config = here.coordinator();
  const serials = new Set<unknown>();
  for (const step of steps.slice(0, -1)) {
    const { stdout, code } = await run(init, ["--config", config], { killAt: new RegExp(`"step":"${step}"`) });
    for (const one of stepsOf(stdout)) if (one.step === "token") serials.add(one["serial"]);
    t.ok(code === null || code === 0, `killed at ${step}`);
  }
  const last = await run(init, ["--config", config]);
  t.equal(last.code, 0, last.stderr);
  t.equal(serials.size, 1, "one token, made once");
  const record = (await recordOf(here))!;
  const { config: client } = readClient(here.at("coordinator", "clients", "admin", "client.yaml"));
  t.equal(client.authority, record.body.authority, "all parts are of one site");
  t.equal(readdirSync(here.at("coordinator", "tokens"), { withFileTypes: true }).filter((entry) => entry.isDirectory()).length, 1);
});

void t.test("somebody else's token, folder or loss is refused and left alone", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const config = here.coordinator();
  t.equal((await run(init, ["--config", config])).code, 0);
  const refused = async (what: string, code: string, change: object): Promise<void> => {
    const other = here.coordinator(change);
    const before = contents(here.at("coordinator"));
    const { code: exit, stderr } = await shardkeep(["site", "init", "--config", other]);
    t.match(stderr, new RegExp(`^${code}: `, "m"), what);
    t.match(stderr, /next: /, `${what}: and what to do`);
    t.not(exit, 0);
    t.same(contents(here.at("coordinator")), before, `${what}: nothing was changed`);
  };
  const token = { module: (JSON.parse(readFileSync(config, "utf8")) as { hsm: { module: string } }).hsm.module, token: "coordinator", pinFile: "coordinator/pin", softhsmConf: "coordinator/softhsm2.conf" };
  await refused("the folder of another site", "STATE_FOREIGN", { site: "other" });
  await refused("the folder of another coordinator", "STATE_FOREIGN", { coordinator: "second" });
  await refused("a token with keys, for another folder", "TOKEN_FOREIGN", { state: "elsewhere" });
  writeFileSync(here.at("wrong-pin"), "1234", { mode: 0o600 });
  await refused("a token that the PIN does not open", "TOKEN_FOREIGN", { state: "elsewhere-2", hsm: { ...token, pinFile: "wrong-pin" } });

  t.equal((await run(init, ["--config", here.coordinator({ state: "third", hsm: { ...token, pinFile: "third/pin", softhsmConf: "third/softhsm2.conf" } })])).code, 0);
  await refused("another token than the folder's", "TOKEN_FOREIGN", { hsm: { ...token, pinFile: "third/pin", softhsmConf: "third/softhsm2.conf" } });

  cpSync(here.at("coordinator"), here.at("kept"), { recursive: true });
  here.coordinator();
  renameSync(here.at("coordinator", "store"), here.at("lost-store"));
  await refused("the store is lost: no second first record", "STATE_DAMAGED", {});
  renameSync(here.at("lost-store"), here.at("coordinator", "store"));
  rmSync(here.at("coordinator", "tokens"), { recursive: true });
  const gone = await shardkeep(["site", "init", "--config", here.coordinator()]);
  t.not(gone.code, 0, "a token that is lost is not made anew");
  t.notOk(existsSync(here.at("coordinator", "tokens")) && readdirSync(here.at("coordinator", "tokens"), { withFileTypes: true }).some((entry) => entry.isDirectory()));
});

void t.test("names that would collide", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const { code, stderr } = await shardkeep(["site", "init", "--config", here.coordinator({ coordinator: "admin" })]);
  t.equal(code, 78);
  t.match(stderr, /CONFIG_INVALID: id admin stands twice/);
});
