import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { root } from "#paths";
import { initialiseToken } from "../../agent/hsm/client.ts";
import { toWire } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { faultyModule } from "./fixtures/faulty.ts";
import { entry, freshHsm, softhsmEnv, tokenFolder, type TokenFolder } from "./fixtures/token.ts";

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));

async function gone(pid: number, withinMs: number): Promise<boolean> {
  for (let waited = 0; waited < withinMs; waited += 10) {
    if (!alive(pid)) return true;
    await sleep(10);
  }
  return false;
}

/** An agent process of its own on a fresh token, and its hsm process's pid. */
async function agent(t: Test, made: TokenFolder) {
  const process_ = spawn(process.execPath, [`${root}test/hsm/fixtures/agent.mjs`, JSON.stringify(made.config)], { stdio: ["pipe", "pipe", "inherit"], env: { PATH: process.env["PATH"], ...softhsmEnv } });
  t.teardown(() => process_.kill("SIGKILL"));
  const [line] = await once(process_.stdout, "data") as [Buffer];
  return { process: process_, hsmPid: Number(line.toString()) };
}

const faulty = faultyModule(t);
if (faulty === undefined) {
  t.pass("skipped", { skip: "needs SoftHSM and gcc" });
} else {
  for (const how of ["hung in native code", "stopped", "idle"]) {
    void t.test(`the agent is killed while its hsm process is ${how}: nothing is left within a second`, async (t) => {
      const made = tokenFolder(t, { module: faulty.path });
      await initialiseToken(made.config, { log: silentLog, entry, tokenFolder: made.tokenFolder });
      const { process: parent, hsmPid } = await agent(t, made);
      t.ok(alive(hsmPid));
      if (how === "hung in native code") {
        faulty.set("C_FindObjectsInit", "hang", 1);
        parent.stdin.write("sign\n");
        await sleep(200);
      } else if (how === "stopped") {
        process.kill(hsmPid, "SIGSTOP");
      }
      t.ok(alive(hsmPid));
      parent.kill("SIGKILL");
      t.ok(await gone(hsmPid, 1000), "gone");
      faulty.clear();
    });
  }

  void t.test("another owner holds the token after a crash: named, within the caller's deadline, and healed when it lets go", async (t) => {
    const { hsm, tokenFolder } = await freshHsm(t, { deadlineMs: 2000 });
    // It waits for the lock and so takes it over from the process that dies.
    const other = spawn("flock", [join(tokenFolder, "owner.lock"), "sleep", "60"], { env: { PATH: process.env["PATH"] }, detached: true, stdio: "ignore" });
    t.teardown(() => process.kill(-other.pid!, "SIGKILL")); // what it waits for, too
    await sleep(200);
    process.kill(hsm.pid!, "SIGKILL");
    const seen = new Set<string>();
    while (!seen.has("PROCESS_DOWN")) {
      const error: unknown = await hsm.info().then(() => undefined, (error: unknown) => error);
      seen.add(error === undefined ? "served" : toWire(error).code);
    }
    t.notOk(seen.has("served"));
    t.ok(seen.has("ALREADY_OWNED"), "the reason is named");
    await hsm.stop();
    await t.rejects(hsm.info(), { code: "PROCESS_STOPPED" });
  });
}
