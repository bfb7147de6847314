import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { rehearsed } from "../../agent/hsm/rehearsed.ts";
import { boxRequest } from "../../agent/protocol/joining.ts";
import { verifyEs256 } from "../../agent/protocol/es256.ts";
import { toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { answering } from "./answering.ts";
import { freePort, line, place, run, shardkeep, stepsOf, withoutSoftHsm, type Ended } from "./support.ts";
import { tree } from "./tree.ts";

type Steps = { step: string; state: string; code?: string; message?: string; remedy?: string }[];
interface Said { readonly ready: boolean; readonly steps: Steps }
const said = ({ stdout }: Ended): Said => JSON.parse(stdout) as Said;
const names = (steps: Steps): string[] => steps.map(({ step, state }) => `${step} ${state}`);

/** What a dry run says of what is here, which it leaves as it is. */
async function dry(t: Test, folder: string, args: readonly string[], what: string): Promise<Said & { readonly code: number | null }> {
  const before = tree(folder);
  const ended = await shardkeep([...args, "--json"]);
  t.same(tree(folder), before, `${what}: nothing changed on the disk, nor in the token`);
  return { ...said(ended), code: ended.code };
}

void t.test("site init says what it would do, from wherever it was cut off, and then does that", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t, await freePort());
  const config = here.coordinator();
  const args = ["site", "init", "--config", config, "--dry-run"];
  const outlook = "broker port ok";
  const all = ["token", "store", "identity key", "authority key", "tls", "client", "site-record"];
  for (const [done, cut] of [[0, "identity key"], [3, "authority key"]] as const) {
    const plan = await dry(t, here.folder, args, `before ${cut}`);
    t.same(plan.steps.map(({ step }) => step), [...all, "site", "broker port"]);
    const states = plan.steps.slice(0, all.length).map(({ state }) => state);
    t.same([states.filter((state) => state === "ok").length >= done, new Set(states.slice(done + 2))], [true, new Set(["would change"])], "what is there, and what is not");
    t.match(plan, { code: 0, ready: true });
    await run("agent/coordinator/init.js", ["--config", config], { killAt: new RegExp(`"step":"${cut}"`) });
  }
  const plan = await dry(t, here.folder, args, "before the last run");
  const made = stepsOf((await run("agent/coordinator/init.js", ["--config", config])).stdout);
  t.same(names(plan.steps), [...names(made).map((step) => step.replace("changed", "would change")), outlook], "what was said was done");
  const { steps } = await dry(t, here.folder, args, "after it");
  t.same(names(steps), ["token ok", "store ok", "site-record ok", "site ok", outlook]);
  t.match(steps, [{}, {}, {}, { authority: made.at(-1)!["authority"] }]);
});

void t.test("box plan, box request and box accept likewise", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const sensor = line(t);
  const config = here.box("box-1", { sensor: { path: sensor, allowEmulated: true } });
  // As the field guide has it: in a folder that is not there before.
  const request = here.at("box-1", "request");
  const answer = here.at("answer.json");
  const ofToken = ["token", "store", "identity key", "vault", "tls key"];
  const would = ofToken.map((step) => `${step} would change`);
  const line0 = { step: "sensor line", state: "ok", found: `${sensor}, a pseudo-terminal` };

  const plan = await dry(t, here.folder, ["box", "plan", "--config", config], "plan");
  t.same([plan.code, names(plan.steps)], [0, [...would, "box would change", "sensor line ok"]]);
  t.match(plan.steps.at(-1), line0);
  const join = await dry(t, here.folder, ["box", "join", "--config", config, "--at", "127.0.0.1:1", "--dry-run"], "join: nobody is asked");
  t.same(join, plan, "the same");
  const asks = ["box", "request", "--config", config, "--out", request];
  const asking = await dry(t, here.folder, [...asks, "--dry-run"], "request");
  t.same(names(asking.steps), [...would, "request would change", "sensor line ok"]);
  const before = await dry(t, here.folder, ["box", "accept", config, "--config", config, "--dry-run"], "accept of what is no answer");
  t.match(before, { code: 65, ready: false, steps: [{ step: "answer", state: "failed", code: "ANSWER_INVALID" }, line0] });

  await run("agent/box/init.js", asks.slice(1), { killAt: /"step":"identity key"/ });
  const cut = await dry(t, here.folder, [...asks, "--dry-run"], "request, cut off");
  const made = await shardkeep([...asks, "--json"]);
  t.equal(made.code, 0, made.stderr);
  t.same(names(cut.steps), [...names(said(made).steps).map((step) => step.replace("changed", "would change")), "sensor line ok"], "what was said was done");
  t.ok(cut.steps.some(({ state }) => state === "ok") && cut.steps.some(({ state }) => state === "would change"));

  const site = await answering(boxRequest.parse(JSON.parse(readFileSync(request, "utf8"))), memoryHsm());
  writeFileSync(answer, JSON.stringify(await site.signed()));
  const takes = ["box", "accept", answer, "--config", config];
  const stranger = await dry(t, here.folder, [...takes, "--authority", "wrong", "--dry-run"], "accept, of another authority");
  t.match(stranger, { code: 77, steps: [{ state: "ok" }, { state: "ok" }, { step: "authority", state: "failed", code: "AUTHORITY_WRONG", remedy: /site show/ }, line0] });
  const taking = await dry(t, here.folder, [...takes, "--dry-run"], "accept");
  const taken = await shardkeep([...takes, "--json"]);
  t.equal(taken.code, 0, taken.stderr);
  t.same(names(taking.steps), [...names(said(taken).steps).map((step) => step.replace("changed", "would change")), "sensor line ok"]);
  t.match(await dry(t, here.folder, [...takes, "--dry-run"], "accept again"), { steps: [{ state: "ok" }, { state: "ok" }, { step: "authority", state: "ok" }, { step: "box", state: "ok" }] });
  t.same(names((await dry(t, here.folder, ["box", "plan", "--config", config], "plan of a box that has joined")).steps), [...ofToken.map((step) => `${step} ok`), "box ok", "sensor line ok"]);

  const agent = spawn("flock", ["-F", here.at("box-1", "tokens", "owner.lock"), "cat"], { stdio: ["pipe", "pipe", "ignore"] });
  t.teardown(() => { agent.kill(); });
  agent.stdin.write("\n");
  await once(agent.stdout, "data");
  t.match(await dry(t, here.folder, ["box", "plan", "--config", config], "plan while the agent runs"), { ready: false, steps: [{ step: "token", state: "failed", code: "ALREADY_OWNED" }, { step: "sensor line", state: "ok", found: /the agent has it/ }] });
});

void t.test("what would fail is said with code and remedy, and fails", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const sensor = { path: line(t), allowEmulated: true };
  const { hsm } = JSON.parse(readFileSync(here.box("box-1"), "utf8")) as { hsm: object };
  mkdirSync(here.at("other"));
  writeFileSync(here.at("other", "owner.json"), JSON.stringify({ site: "other", name: "box-1", token: "1", complete: true }));
  writeFileSync(here.at("pin"), "1234", { mode: 0o644 });
  const box = (change: object): string[] => ["box", "plan", "--config", here.box("box-1", { sensor, ...change })];
  const failing = async (what: string, args: readonly string[], exit: number, step: string, code: string, text: RegExp): Promise<void> => {
    const found = await dry(t, here.folder, args, what);
    const failed = found.steps.find(({ state }) => state === "failed")!;
    t.match([found.code, found.ready, failed], [exit, false, { step, code, remedy: /./ }], what);
    t.match(`${failed.message ?? ""} ${failed.remedy ?? ""}`, text, what);
  };
  await failing("a module that is missing", box({ hsm: { ...hsm, module: "/nowhere.so" } }), 78, "token", "HSM_CONFIG_INVALID", /nowhere\.so/);
  await failing("a PIN that others can read", box({ hsm: { ...hsm, pinFile: "pin" } }), 78, "token", "PIN_EXPOSED", /chmod 600/);
  await failing("another site's folder", box({ state: "other" }), 77, "state", "STATE_FOREIGN", new RegExp(`^${here.at("other")} belongs to box-1 of site other`));
  await failing("a folder that cannot be made", box({ state: "pin/box-1" }), 1, "state", "DISK_UNWRITABLE", new RegExp(`cannot write to ${here.at("pin")}[^]*sudo -u shardkeep`));
  await failing("a sensor that is not there", box({ sensor: { path: "/dev/nowhere" } }), 1, "sensor line", "SERIAL_OPEN_FAILED", /\/dev\/nowhere/);
  await failing("an emulated one", box({ sensor: { path: sensor.path } }), 78, "sensor line", "EMULATED_REFUSED", /pseudo-terminal/);
  await failing("a configuration with a typing error", box({ colour: "red" }), 78, "configuration", "CONFIG_INVALID", /colour/);
  await failing("a stick that is not in", ["box", "request", "--config", here.box("box-1", { sensor }), "--out", here.at("nowhere", "request"), "--dry-run"], 1, "request", "FILE_UNWRITABLE", /stick/);

  const taken = createServer();
  await new Promise<void>((resolve) => { taken.listen(0, "127.0.0.1", resolve); });
  t.teardown(() => { taken.close(); });
  const { port } = taken.address() as AddressInfo;
  const site = here.coordinator({ broker: { url: "mqtts://127.0.0.1:1" }, join: { listen: { host: "127.0.0.1", port } } });
  await failing("a port that another program has", ["site", "init", "--config", site, "--dry-run"], 1, "join port", "LISTEN_FAILED", /ss -ltnp/);

  const shown = await shardkeep(box({ hsm: { ...hsm, module: "/nowhere.so" } }));
  t.match(shown, { code: 78, stdout: "nothing was changed; mend first: token\n", stderr: /failed {8}token {2}HSM_CONFIG_INVALID: [^]*next: install it[^]*ok {12}sensor line {2}found/ });
  const real = await shardkeep(["box", "request", "--config", here.box("box-1", { state: "other" }), "--out", here.at("x"), "--json"]);
  t.match(real.stderr, /^STATE_FOREIGN: /, "which did not begin");
  t.match(JSON.parse(real.stdout), { error: { code: "STATE_FOREIGN" }, steps: [{ step: "state", state: "failed", code: "STATE_FOREIGN" }] }, "a real run names the step too");
});

void t.test("a rehearsal reads the token and makes its keys elsewhere", async (t) => {
  const hsm = memoryHsm();
  const authority = await hsm.createKey("authority");
  const one = rehearsed({ ...hsm, stop: () => Promise.resolve() });
  t.same(await one.publicKey("authority"), authority);
  await t.rejects(one.publicKey("identity"), { code: "KEY_MISSING" });
  const identity = await one.createKey("identity");
  t.same(await one.publicKey("identity"), identity);
  for (const [role, key] of [["identity", identity], ["authority", authority]] as const) t.ok(verifyEs256(toBase64url(key), utf8("x"), toBase64url(await one.sign(role, utf8("x")))), role);
  t.equal((await one.createSealKey({ generation: 1 })).length, 65);
  t.match(await one.createVault({ generation: 1 }), { enc: { length: 65 }, ct: { length: 48 } });
  await hsm.createSealKey({ generation: 1 });
  await one.destroySealKey({ generation: 1 });
  t.same(await hsm.sealKeys(), [1], "what is there stays");
  await t.rejects(hsm.publicKey("identity"), { code: "KEY_MISSING" }, "what is not is not made");
});
