import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import t from "tap";
import { z } from "zod";
import { root } from "#paths";
import { silentLog } from "../../agent/runtime/log.ts";
import { Supervised } from "../../agent/runtime/supervisor.ts";
import "../support/plain-children.ts";

const calls = { pid: { args: z.object({}), result: z.number() }, leave: { args: z.object({}), result: z.null() } };
const supervised = (restart: boolean): Supervised<typeof calls> => new Supervised({
  name: "child", entry: pathToFileURL(`${root}test/runtime/fixtures/child.mjs`), args: [], calls, restart, deadlineMs: 10_000, log: silentLog,
});

void t.test("a child that closes its channel and lives on is ended, and another one serves the very next call", async (t) => {
  const child = supervised(true);
  t.teardown(() => child.stop());
  await child.start();
  const first = await child.call("pid", {});
  await t.rejects(child.call("leave", {}), { code: "PROCESS_ENDED", retryable: true });
  const second = await child.call("pid", {});
  t.not(second, first);
  t.notOk(existsSync(`/proc/${first}`));
  t.equal(child.restarts, 1);
});

void t.test("killed again and again: whoever waits is told, the next call is served", async (t) => {
  const child = supervised(true);
  t.teardown(() => child.stop());
  await child.start();
  for (let n = 0; n < 5; n++) {
    process.kill(await child.call("pid", {}), "SIGKILL");
    await t.rejects(child.call("pid", {}), { code: "PROCESS_ENDED" });
    t.type(await child.call("pid", {}), "number");
  }
});

void t.test("one that is not to be started again is gone for good", async (t) => {
  const child = supervised(false);
  t.teardown(() => child.stop());
  await child.start();
  await t.rejects(child.call("leave", {}), { code: "PROCESS_ENDED" });
  await t.rejects(child.call("pid", {}), { code: "PROCESS_ENDED", message: /not running/ });
});
