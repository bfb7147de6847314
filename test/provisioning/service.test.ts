import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { createInterface } from "node:readline";
import t from "tap";
import { root } from "#paths";
import { notifySocket, withoutSystemd } from "../support/notify-socket.ts";
import { environment, freePort, place, run, shardkeep, start, stepsOf, withoutSoftHsm } from "./support.ts";
import "../support/plain-children.ts";

/** The child of `parent` whose command line has `entry`. */
function childOf(parent: number, entry: string): number {
  const found = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).find((pid) => {
    try {
      return new RegExp(`\\) [A-Z] ${parent} `).test(readFileSync(`/proc/${pid}/stat`, "latin1")) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(entry);
    } catch {
      return false; // it has ended meanwhile
    }
  });
  return Number(found);
}

void t.test("a service manager sees the agent and the coordinator as they are", { skip: withoutSoftHsm === false ? withoutSystemd : withoutSoftHsm }, async (t) => {
  const { at, coordinator, box } = place(t, await freePort());
  const [site, own] = [coordinator(), box("box-1")];
  const made = await run("agent/coordinator/init.js", ["--config", site]);
  t.equal(made.code, 0, made.stderr);
  const client = at("coordinator", "clients", "admin", "client.yaml");
  const socket = await notifySocket(t);
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "2000000" };

  const up = socket.next(/^STATUS=serves/);
  const started = await start(t, "agent/coordinator/main.js", ["--config", site], /started/, env);
  t.match(await up, /connected to mqtts:\/\/127\.0\.0\.1/);
  t.ok(socket.told.includes("READY=1"));
  await socket.next(/^WATCHDOG=1$/);
  t.equal((await shardkeep(["box", "request", "--config", own, "--out", at("request")])).code, 0);
  t.equal((await shardkeep(["site", "approve", at("request"), "--out", at("answer"), "--client", client])).code, 0);
  t.equal((await shardkeep(["box", "accept", at("answer"), "--config", own, `--authority=${String(stepsOf(made.stdout).find(({ step }) => step === "site")!["authority"])}`])).code, 0);
  const left = socket.next(/^STOPPING=1$/);
  started.kill("SIGTERM");
  await left;

  await t.test("the agent, its PIN a credential, is ready while its broker is away", async (t) => {
    mkdirSync(at("credentials"));
    renameSync(at("box-1", "pin"), at("credentials", "shardkeep-pin"));
    socket.told.length = 0;
    const ready = socket.next(/^READY=1$/);
    const waits = socket.next(/^STATUS=waits for its broker: /);
    const agent = spawn(process.execPath, [`${root}dist/agent/box/main.js`, "--config", own], { env: environment({ ...env, CREDENTIALS_DIRECTORY: at("credentials") }), stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise<number | null>((resolve) => { agent.once("close", resolve); });
    t.teardown(async () => { agent.kill("SIGKILL"); await ended; });
    const restarted = new Promise<void>((resolve) => {
      createInterface({ input: agent.stdout }).on("line", (line) => { if (/child ended.*"hsm"/.test(line)) resolve(); });
    });
    await ready;
    await waits;
    await socket.next(/^WATCHDOG=1$/);

    for (const part of ["agent/hsm/main.js", "firmware-bridge/main.js"]) t.ok(childOf(agent.pid!, part) > 0, part);
    process.kill(childOf(agent.pid!, "agent/hsm/main.js"), "SIGSTOP");
    socket.told.length = 0;
    await restarted;
    t.ok(socket.told.filter((word) => word === "WATCHDOG=1").length <= 1, "with a hung HSM nothing but a ping that was on its way");
    await socket.next(/^WATCHDOG=1$/);

    const stopping = socket.next(/^STOPPING=1$/);
    agent.kill("SIGTERM");
    await stopping;
    t.equal(await ended, 0);
  });

  await t.test("a start that fails says why, and that a restart is useless", async (t) => {
    const said = socket.next(/^STATUS=/);
    const { code } = await run("agent/box/main.js", ["--config", at("none.yaml")], { env });
    t.equal(code, 78);
    t.match(await said, /^STATUS=CONFIG_UNREADABLE: cannot read .*none\.yaml next: /);
  });
});
