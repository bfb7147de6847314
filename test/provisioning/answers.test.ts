import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { parse } from "yaml";
import { findSoftHsm, root } from "#paths";
import { boxConfig } from "../../agent/box/config.ts";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { complete } from "../../provisioning/answers.ts";
import { boxAnswers, configFrom, siteAnswers } from "../../provisioning/machine/answers.ts";
import { environment, place, shardkeep, shardkeepBatch, withoutSoftHsm } from "./support.ts";

const documented = readFileSync(`${root}docs/configuration.md`, "utf8");
const example = (name: string): string => new RegExp(`\`\`\`yaml\\n# ${name}\\n([^]*?)\`\`\``).exec(documented)![1]!;
/** The example of the documents with the module of this machine, in a folder of its own. */
const here = (name: string, state: string): string => example(name).replace(/^\.\.\.$/m, `state: ${state}\nmodule: ${findSoftHsm()?.file ?? "libsofthsm2.so"}\n...`);
const stepsIn = (stdout: string): [string, string][] => (JSON.parse(stdout) as { steps: { step: string; state: string }[] }).steps.map(({ step, state }) => [step, state]);

void t.test("the documented answers make a site and a box", { skip: withoutSoftHsm }, async (t) => {
  const { at, folder } = place(t);
  writeFileSync(at("plant.answers.yaml"), here("plant.answers.yaml", "plant"));
  writeFileSync(at("box-1.answers.yaml"), here("box-1.answers.yaml", "box-1"));
  const site = ["site", "init", "--config", at("plant.yaml"), "--answers", at("plant.answers.yaml"), "--json"];
  const before = readdirSync(folder);
  const planned = await shardkeep([...site, "--dry-run"]);
  t.same(stepsIn(planned.stdout).slice(0, 2), [["configuration", "would change"], ["token", "would change"]], planned.stderr);
  const box = ["--config", at("box-1.yaml"), "--answers", at("box-1.answers.yaml"), "--json"];
  t.same(stepsIn((await shardkeep(["box", "plan", ...box])).stdout).slice(0, 2), [["configuration", "would change"], ["token", "would change"]]);
  t.same(readdirSync(folder), before, "a dry run makes no configuration");

  const made = await shardkeep(site);
  t.equal(made.code, 0, made.stderr);
  t.same(stepsIn(made.stdout).slice(0, 2), [["configuration", "changed"], ["token", "changed"]]);
  t.match(parse(readFileSync(at("plant.yaml"), "utf8")), { site: "plant", state: at("plant"), broker: { listen: { host: "10.0.0.2", port: 8883 } }, join: { listen: { port: 8885 } }, hsm: { token: "coordinator", pinFile: at("plant", "pin"), softhsmConf: at("plant", "softhsm2.conf") } });
  const asked = await shardkeep(["box", "request", "--out", at("request"), ...box]);
  t.equal(asked.code, 0, asked.stderr);
  const config = readFileSync(at("box-1.yaml"), "utf8");
  writeFileSync(at("box-1.yaml"), `${config}heartbeatMs: 500\n`);
  const again = await shardkeep(["box", "request", "--out", at("request"), ...box]);
  t.same(stepsIn(again.stdout)[0], ["configuration", "ok"], "a configuration may say more");
});

void t.test("what is not the answers for this machine changes nothing", async (t) => {
  const { at, folder } = place(t);
  const good = example("box-1.answers.yaml");
  writeFileSync(at("other.yaml"), JSON.stringify(configFrom("box", at("other.yaml"), parse(good.replace("plant", "other")) as Record<string, unknown>)));
  writeFileSync(at("broken.yaml"), "site: [\n");
  const table: [string, string, string, string, RegExp][] = [
    ["half a copy", good.slice(0, 60), "new.yaml", "ANSWERS_INVALID", /does not end with the line `\.\.\.`/],
    ["half a copy that is whole lines", good.split("\n").slice(0, 6).join("\n"), "new.yaml", "ANSWERS_INVALID", /half of it/],
    ["no YAML", "site: [\n...\n", "new.yaml", "ANSWERS_INVALID", /cannot be read/],
    ["a list", "- site\n...\n", "new.yaml", "ANSWERS_INVALID", /holds no answers/],
    ["an unknown answer", good.replace("zone:", "colour: red\nzone:"), "new.yaml", "ANSWERS_INVALID", /1 problem\n.*colour/],
    ["all that is missing or wrong", "site: Plant!\nbroker: mqtt://x:1\nsensor: 7\npanel: null\n...\n", "new.yaml", "ANSWERS_INVALID", /5 problems\n {2}site: 1 to 32[^]*box: is missing: name of this box[^]*zone: is missing[^]*broker: mqtts:\/\/host:port[^]*sensor: .*string/],
    ["of another site", good, "other.yaml", "ANSWERS_DIFFER", /other\.yaml is there[^]*site: "other", the answers: "plant"/],
    ["of another box", good.replace("box: box-1", "box: box-2"), "other.yaml", "ANSWERS_DIFFER", /box: "box-1", the answers: "box-2"/],
    ["beside a configuration that is damaged", good, "broken.yaml", "CONFIG_INVALID", /broken\.yaml/],
    ["for a folder that is not there", good, "nowhere/box.yaml", "FILE_UNWRITABLE", /nowhere/],
  ];
  for (const [i, [, text]] of table.entries()) writeFileSync(at(`answers-${i}`), text);
  const contents = (): [string, string][] => readdirSync(folder).map((name) => [name, readFileSync(at(name), "utf8")]);
  const before = contents();
  const ends = await shardkeepBatch([
    ...table.map(([, , config], i) => ["box", "request", "--out", at("out"), "--config", at(config), "--answers", at(`answers-${i}`)]),
    ["site", "init", "--config", at("new.yaml"), "--answers", at("answers-0")],
    ["box", "plan", "--config", at("new.yaml"), "--answers", at("none")],
    ["box", "join", "--config", at("new.yaml"), "--at", "127.0.0.1:1", "--answers", at("answers-4")],
  ]);
  for (const [i, [what, , , code, text]] of table.entries()) {
    t.match(ends[i]!.stderr, new RegExp(`^${code}: `, "m"), what);
    t.match(ends[i]!.stderr, text, what);
    t.match(ends[i]!.stderr, /next: /, `${what}: and what to do`);
    t.equal(ends[i]!.code, code.startsWith("ANSWERS") ? 65 : code === "CONFIG_INVALID" ? 78 : 1, what);
  }
  t.match(ends.slice(table.length).map(({ stderr }) => stderr), [/ANSWERS_INVALID/, /FILE_UNREADABLE/, /colour/], "every command that takes them");
  t.same(contents(), before, "nothing was written");
});

void t.test("on a terminal what is missing is asked", async (t) => {
  const asked: string[] = [];
  const typing = (...typed: (string | undefined)[]) => (words: string): Promise<string | undefined> => {
    asked.push(words.split(",")[0]!);
    return Promise.resolve(typed.shift());
  };
  const given = { site: "plant", box: "Box!", broker: "mqtts://10.0.0.2:8883" };
  const whole = await complete(boxAnswers, given, "file", typing("B x", "box-1", "12", "/dev/ttyUSB0", ""));
  t.same(asked, ["box", "box", "zone", "sensor", "panel"], "what is right is not asked again, what is wrong is until it is right");
  t.match(whole, { ...given, box: "box-1", zone: "12", sensor: "/dev/ttyUSB0", panel: null });
  await t.rejects(complete(boxAnswers, given, "file", typing("box-1", undefined)), { code: "ANSWERS_INVALID" }, "nobody types any more");
  await t.rejects(complete(boxAnswers, { ...given, colour: "red" }, "file", typing()), { code: "ANSWERS_INVALID", message: /colour/ }, "nobody is asked about what is not known");
});

void t.test("a real terminal", { skip: withoutSoftHsm }, async (t) => {
  const { at } = place(t);
  writeFileSync(at("answers"), here("plant.answers.yaml", "plant").replace(/^host.*\n/m, ""));
  const child = spawn("script", ["-qec", `${process.execPath} ${root}dist/provisioning/main.js site init --config ${at("plant.yaml")} --answers ${at("answers")} --dry-run`, "/dev/null"], { env: environment({}), stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (!said.includes("reach this machine") && (said + text).includes("reach this machine")) child.stdin.write("127.0.0.1\n");
    said += text;
  });
  const code = await new Promise((resolve) => { child.once("close", resolve); });
  t.equal(code, 0, said);
  t.match(said, /host, address at which boxes reach this machine, or 0\.0\.0\.0: [^]*would change {2}token[^]*it would go through/);
});

void t.test("what follows from answers", (t) => {
  const site = { site: "plant", host: "0.0.0.0" };
  t.match(configFrom("site", "/etc/shardkeep/plant.yaml", site), { state: "/var/lib/shardkeep/plant", hsm: { module: "/usr/lib/softhsm/libsofthsm2.so", token: "coordinator", pinFile: "/var/lib/shardkeep/plant/pin" } }, "the unit's places");
  t.match(coordinatorConfig.parse(configFrom("site", "/x/plant.yaml", { ...site, port: 1883, coordinator: "main" })), { coordinator: "main", broker: { listen: { port: 1883 } } });
  t.ok(siteAnswers.safeParse(site).success);
  const device = { site: "plant", box: "box-1", zone: "a", broker: "mqtts://[::1]:8883", sensor: "tty", panel: "/dev/panel", module: "yubihsm_pkcs11.so", token: "YubiHSM", serial: "07550054", pinFile: "secret/pin", parameters: "connector=http://127.0.0.1:12345" };
  t.match(boxConfig.parse(configFrom("box", "/srv/box-1.yaml", device)), {
    state: "/var/lib/shardkeep/box-1", sensor: { path: "/srv/tty" }, panel: { path: "/dev/panel" },
    hsm: { module: "yubihsm_pkcs11.so", token: "YubiHSM", serial: "07550054", pinFile: "/srv/secret/pin", parameters: "connector=http://127.0.0.1:12345", softhsmConf: undefined },
  }, "a device");
  t.end();
});
