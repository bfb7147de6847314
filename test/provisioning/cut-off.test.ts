import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { root } from "#paths";
import { HsmProcess, type HsmConfig } from "../../agent/hsm/client.ts";
import { boxRequest } from "../../agent/protocol/joining.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { leftIn } from "../support/doc-commands.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { answering } from "./answering.ts";
import { environment, place, run, stepsOf, withoutSoftHsm, type Place } from "./support.ts";

const init = "agent/box/init.js";
/** The tokens there are at this instant; what is being moved may be gone between two looks. */
function tokensOf({ at }: Place, folder = "tokens"): string[] {
  try {
    return readdirSync(at("box-1", folder), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name).filter((name) => name !== "unfinished");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Kills a joining in `folder` as soon as `isTime`, or lets it come to its end. Its children die with it, and may get a little further before: what stays of them, if any. */
async function killedWhen(folder: string, args: readonly string[], isTime: () => boolean): Promise<string[]> {
  const child = spawn(process.execPath, [`${root}dist/${init}`, ...args], { cwd: folder, env: environment({}), stdio: "ignore" });
  const ended = new Promise<void>((resolve) => { child.once("close", () => { resolve(); }); });
  while (child.exitCode === null && !isTime()) await turn();
  child.kill("SIGKILL");
  await ended;
  return await leftIn(folder);
}

void t.test("killed while the token is made: half of one is in nobody's way", { skip: withoutSoftHsm }, async (t) => {
  for (let tries = 0; tries < 10; tries++) {
    const here = place(t);
    const { at } = here;
    const args = ["request", "--config", here.box("box-1"), "--out", at("request")];
    t.same(await killedWhen(here.folder, args, () => tokensOf(here, "tokens/unfinished").length > 0), [], "no child outlives it");
    if (tokensOf(here).length > 0) continue; // it was faster
    t.equal(tokensOf(here, "tokens/unfinished").length, 1, "half a token is there");
    const again = await run(init, args);
    t.equal(again.code, 0, again.stderr);
    t.match(stepsOf(again.stdout)[0], { step: "token", state: "changed" });
    t.same([tokensOf(here).length, existsSync(at("box-1", "tokens", "unfinished")), existsSync(at("box-1", "softhsm2.conf.unfinished"))], [1, false, false]);
    return;
  }
  t.fail("was never in time");
});

void t.test("what another try has left is removed before a token is made", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  mkdirSync(here.at("box-1", "tokens/unfinished", "half"), { recursive: true });
  writeFileSync(here.at("box-1", "tokens/unfinished", "half", "token.object"), "half");
  const made = await run(init, ["request", "--config", here.box("box-1"), "--out", here.at("request")]);
  t.equal(made.code, 0, made.stderr);
  t.same(tokensOf(here).includes("half"), false);
});

void t.test("killed after every single step, a box asks and accepts as if nothing had been", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t);
  const { at } = here;
  const config = here.box("box-1");
  const asking = ["request", "--config", config, "--out", at("request")];
  const taking = ["accept", at("answer"), "--config", config];
  const coordinator = memoryHsm();
  const serials = new Set<unknown>();
  const cut = async (args: readonly string[], steps: readonly string[]): Promise<void> => {
    for (const step of steps) {
      const { stdout, stderr, code } = await run(init, args, { killAt: new RegExp(`"step":"${step}"`) });
      t.ok(code === null || code === 0, `killed at ${step}: ${stderr}`);
      t.ok(stepsOf(stdout).some((one) => one.step === step), `it came to ${step}`);
      serials.add(stepsOf(stdout)[0]!["serial"]);
    }
  };
  await cut(asking, ["token", "store", "identity key", "vault", "tls key", "request"]);
  const request = boxRequest.parse(JSON.parse(readFileSync(at("request"), "utf8")));
  const site = await answering(request, coordinator);
  writeFileSync(at("answer"), JSON.stringify(await site.signed()));
  await cut(taking, ["authority", "challenge secret", "tls", "box"]);

  const taken = await run(init, taking);
  t.equal(taken.code, 0, taken.stderr);
  t.ok(stepsOf(taken.stdout).every(({ state }) => state === "ok"), "nothing is left to do");
  const again = await run(init, asking);
  t.same(stepsOf(again.stdout).filter(({ state }) => state !== "ok").map(({ step }) => step), ["request"]);
  t.same({ ...boxRequest.parse(JSON.parse(readFileSync(at("request"), "utf8"))), sig: "" }, { ...request, sig: "" }, "the keys that the site knows");
  t.same([serials.size, tokensOf(here).length], [1, 1], "one token, made once");
  t.match(JSON.parse(readFileSync(at("box-1", "owner.json"), "utf8")), { complete: true });

  const { hsm: named } = JSON.parse(readFileSync(config, "utf8")) as { hsm: HsmConfig };
  const hsm = new HsmProcess({ ...named, pinFile: at(named.pinFile), softhsmConf: at(named.softhsmConf!) }, { log: silentLog, entry: new URL(`file://${root}dist/agent/hsm/main.js`) });
  await hsm.start();
  t.teardown(() => hsm.stop());
  t.ok(await coordinator.verifyMac({ box: "box-1", message: utf8("x"), mac: await hsm.mac({ box: "box-1", message: utf8("x") }) }), "and the secret that the coordinator has");
  t.same(await hsm.sealKeys(), [1]);
});
