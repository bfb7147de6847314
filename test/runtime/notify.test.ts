import t from "tap";
import { exitCodeOf } from "../../agent/runtime/main.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { silentLog, type Log } from "../../agent/runtime/log.ts";
import { Service, serviceOf, unattended, watchdogMsOf } from "../../agent/runtime/notify.ts";
import { notifySocket, withoutSystemd } from "../support/notify-socket.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const ok = (): Promise<void> => Promise.resolve();

/** A manager that wants a ping every 8 s: we ask every 4, wait 2 for the answer, ask again after 1. */
function managed(watchdogMs: number | undefined = 8000) {
  const clock = new VirtualClock();
  const told: string[] = [];
  const service = new Service({ tell: (...words) => { told.push(words.join(" ")); return Promise.resolve(); }, watchdogMs, clock });
  return { clock, told, service, pings: () => told.filter((words) => words === "WATCHDOG=1").length };
}

void t.test("the watchdog is fed twice in its time, and each time the parts are asked anew", async (t) => {
  const { clock, told, service, pings } = managed();
  let asked = 0;
  await clock.advance(60_000);
  t.same(told, [], "nothing before it serves");
  service.ready(() => Promise.resolve(asked++), silentLog);
  await clock.advance(3999);
  t.same(told, ["READY=1"]);
  await clock.advance(12_001);
  t.equal(pings(), 4);
  t.equal(asked, 4);
});

void t.test("no ping while a part refuses, gives no answer or only a late one; the question comes again sooner", async (t) => {
  const { clock, service, pings } = managed();
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (event, fields) => { warned.push(`${event} ${String(fields?.["error"])}`); } };
  let works: () => Promise<unknown> = () => Promise.reject(new Error("the HSM is sick"));
  service.ready(() => works(), log);
  await clock.advance(4000);
  t.same(warned, ["watchdog not fed Error: the HSM is sick"]);
  works = () => { throw new Error("thrown"); };
  await clock.advance(1000);
  t.match(warned[1], /thrown/);
  works = () => new Promise((resolve) => { clock.after(2500, () => { resolve(0); }); });
  await clock.advance(3000);
  t.match(warned[2], /no answer in 2000 ms/);
  works = () => new Promise(() => undefined);
  await clock.advance(60_000);
  t.equal(pings(), 0);
  works = ok;
  await clock.advance(3000);
  t.equal(pings(), 1, "and when all is well again it goes on");
});

void t.test("the end: told once, with the reason in one line, and nothing after it", async (t) => {
  const { clock, told, service } = managed();
  service.ready(ok, silentLog);
  service.status("serves");
  service.status("serves");
  await service.stopping("CODE: it broke\nWATCHDOG=trigger\n  next: mend it");
  service.status("late");
  service.ready(ok, silentLog);
  await clock.advance(60_000);
  t.same(told, ["READY=1", "STATUS=serves", "STOPPING=1 STATUS=CODE: it broke WATCHDOG=trigger next: mend it"]);
});

void t.test("an answer that comes after the end feeds nobody", async (t) => {
  const { clock, told, service } = managed();
  let answer = (): void => undefined;
  service.ready(() => new Promise<void>((resolve) => { answer = resolve; }), silentLog);
  await clock.advance(4000);
  await service.stopping();
  answer();
  await settle();
  await clock.advance(60_000);
  t.same(told, ["READY=1", "STOPPING=1"]);
});

void t.test("without a watchdog nothing is asked, and without a manager nothing is said", async (t) => {
  const { clock, told, service } = managed(undefined);
  const never = (): never => { throw new Error("asked"); };
  service.ready(never, silentLog);
  await clock.advance(60_000);
  t.same(told, ["READY=1"]);
  unattended.ready(never, silentLog);
  unattended.status("x");
  await serviceOf({ WATCHDOG_USEC: "1000" }, 1).stopping();
});

void t.test("whose watchdog it is (sd_watchdog_enabled(3))", async (t) => {
  for (const [env, expected] of [
    [{ WATCHDOG_USEC: "30000000" }, 30_000], [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 30_000], [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, undefined],
    [{}, undefined], [{ WATCHDOG_USEC: "" }, undefined], [{ WATCHDOG_USEC: "0" }, undefined], [{ WATCHDOG_USEC: "-5" }, undefined], [{ WATCHDOG_USEC: "1e9" }, undefined],
  ] as [NodeJS.ProcessEnv, number | undefined][]) t.equal(watchdogMsOf(env, 7), expected, JSON.stringify(env));
});

void t.test("systemd-notify brings it to the socket, in order", { skip: withoutSystemd }, async (t) => {
  const socket = await notifySocket(t);
  process.env["NOTIFY_SOCKET"] = socket.path;
  t.teardown(() => { delete process.env["NOTIFY_SOCKET"]; });
  const service = serviceOf(process.env, process.pid);
  service.ready(ok, silentLog);
  service.status("serves, connected to mqtts://x:1");
  const end = socket.next(/STOPPING/);
  await service.stopping();
  await end;
  t.same(socket.told, ["READY=1", "STATUS=serves, connected to mqtts://x:1", "STOPPING=1"]);
});

void t.test("a restart is useless after these", (t) => {
  for (const code of ["CONFIG_INVALID", "CONFIG_UNREADABLE", "NOT_JOINED", "PIN_REFUSED", "PIN_UNREADABLE", "PIN_EXPOSED", "HSM_CONFIG_INVALID", "BROKER_URL_INVALID", "TLS_INVALID"]) {
    t.equal(exitCodeOf(new ShardkeepError(code, "x")), 78, code);
  }
  t.equal(exitCodeOf(new ShardkeepError("TOKEN_MISSING", "x", { retryable: true })), 75);
  t.end();
});
