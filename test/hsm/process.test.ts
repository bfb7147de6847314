import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { faultyModule } from "./fixtures/faulty.ts";
import { freshHsm, softhsm } from "./fixtures/token.ts";

const message = new Uint8Array(3);
const alive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));

/** How many listening TCP sockets are the process's own (proc(5), state 0A). */
function listening(pid: number): number {
  const inodes = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    } catch {
      return undefined; // closed since it was listed
    }
  });
  const open = readFileSync(`/proc/${pid}/net/tcp`, "latin1").split("\n").map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === "0A");
  return open.filter((fields) => inodes.includes(fields[9])).length;
}

const faulty = faultyModule(t);
if (faulty === undefined) {
  t.pass("skipped", { skip: "needs SoftHSM and gcc" });
} else {
  const { hsm } = await freshHsm(t, { module: faulty.path, deadlineMs: 2000 });
  await hsm.createKey("identity");

  void t.test("a hung module: killed, started, logged in again; nobody waits for ever", async (t) => {
    await hsm.openReceiving({ id: "attempt" });
    const before = hsm.pid!;
    faulty.set("C_Sign", "hang", 1);
    const calls = await Promise.allSettled([hsm.sign("identity", message), hsm.random(8), hsm.publicKey("identity")]);
    for (const call of calls) t.match(call, { status: "rejected", reason: { code: /^PROCESS_(HUNG|ENDED)$/, retryable: true } });
    t.equal((await hsm.sign("identity", message)).length, 64, "the very next call is served");
    t.equal(hsm.restarts, 1);
    t.not(hsm.pid, before);
    t.notOk(alive(before), "the hung one is gone");
    await t.rejects(hsm.checkValue({ id: "attempt", seed: new Uint8Array(32), keyId: "k" }), { code: "RECEIVING_MISSING" }, "receiving keys were its memory's");
  });

  void t.test("it also hangs at its login, or is stopped from outside", async (t) => {
    faulty.set("C_Login", "hang", 1);
    await t.rejects(hsm.reopen(), { code: "PROCESS_HUNG" });
    t.equal((await hsm.sign("identity", message)).length, 64);
    process.kill(hsm.pid!, "SIGSTOP");
    await t.rejects(hsm.sign("identity", message), { code: "PROCESS_HUNG" });
    t.equal((await hsm.sign("identity", message)).length, 64);
    t.equal(hsm.restarts, 3);
  });

  void t.test("a module that crashes its process", async (t) => {
    faulty.set("C_Sign", "crash", 1);
    await t.rejects(hsm.sign("identity", message), { code: "PROCESS_ENDED", retryable: true });
    t.equal((await hsm.sign("identity", message)).length, 64);
    process.kill(hsm.pid!, "SIGKILL");
    await t.rejects(hsm.sign("identity", message), { code: "PROCESS_ENDED" });
    t.equal((await hsm.sign("identity", message)).length, 64);
  });

  void t.test("stopped while it hangs", async (t) => {
    faulty.set("C_FindObjectsInit", "hang", 1);
    const call = t.rejects(hsm.selfTest(), { code: /^PROCESS_(HUNG|ENDED)$/ });
    await sleep(100);
    const pid = hsm.pid!;
    await hsm.stop();
    await call;
    t.notOk(alive(pid));
    await t.rejects(hsm.info(), { code: "PROCESS_STOPPED" });
  });
}

void t.test("what the process is given and what it is kept from", async (t) => {
  if (softhsm === undefined) return t.pass("skipped", { skip: "SoftHSM is not installed" });
  process.env["SHARDKEEP_TEST_MARK"] = "not for children";
  const { hsm, config } = await freshHsm(t);
  const proc = (file: string): string => readFileSync(`/proc/${hsm.pid!}/${file}`, "latin1");
  const pin = readFileSync(config.pinFile, "latin1").trim();
  t.match(pin, /^[0-9a-f]{48}$/);
  t.notOk(proc("cmdline").includes(pin), "no PIN in argv");
  t.notOk(proc("environ").includes(pin), "nor in the environment");
  t.ok(proc("environ").includes("SOFTHSM2_CONF"));
  t.notOk(proc("environ").includes("SHARDKEEP_TEST_MARK"), "nothing of the parent's environment goes down");
  t.match(proc("limits"), /Max core file size +0 +0 /, "no core dumps");
  process.kill(hsm.pid!, "SIGUSR1");
  await hsm.info();
  await sleep(300);
  t.equal(listening(hsm.pid!), 0, "SIGUSR1 opens no inspector");
  await t.rejects(hsm.random(2000), { code: "IPC_BAD_ARGUMENTS", message: /length/ });
  await t.rejects(hsm.sign("identity", new Uint8Array(1_048_577)), { code: "IPC_BAD_ARGUMENTS", message: /message/ });
});
