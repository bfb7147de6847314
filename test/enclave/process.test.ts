import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import t from "tap";
import { root } from "#paths";
import { EnclaveProcess } from "../../agent/enclave/client.ts";
import { enclavePermission } from "../../agent/enclave/permission.ts";
import { workingKey, type KeyName } from "../../agent/protocol/ciphertext.ts";
import { pieceContext } from "../../agent/protocol/key-record.ts";
import { openText } from "../../agent/protocol/sealed.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { combineShares } from "../../agent/sharding/shamir.ts";
import { scanMemory } from "../../provisioning/demo/memory-scan.ts";
import "../support/plain-children.ts";
import { interpolate } from "../support/polynomials.ts";
import { ask, birth, bytesOf, fieldsFor, makeKey, openSigned, operation, payloadFor, site } from "./scene.ts";

const entry = pathToFileURL(`${root}dist/agent/enclave/main.js`);
const start = (): Promise<EnclaveProcess> => EnclaveProcess.start(entry, silentLog);
const halves = (bytes: Uint8Array): Uint8Array[] => [bytes, bytes.slice(0, 16), bytes.slice(-16), bytes.slice().reverse()];
const copies = async (pid: number | undefined, needles: readonly Uint8Array[]): Promise<number> => (await scanMemory(pid ?? 0, needles)).copies;
const name: Omit<KeyName, "use"> = { site, key: "payroll", version: 1, resource: "payroll/march" };

void t.test("encrypt and decrypt; after `done` no copy of key, shares, working key or payload is left", async (t) => {
  const key = await makeKey(3, [7, 21, 90, 200, 255]);
  const plaintext = systemRandom.bytes(64);
  const secrets = [...halves(key.master), ...key.holders.flatMap(({ share }) => halves(share)), ...halves(plaintext), plaintext.slice(16, 48)];
  let payload: Uint8Array = plaintext;
  for (const operationName of ["encrypt", "decrypt"] as const) {
    const enclave = await start();
    t.teardown(() => enclave.end());
    const asked = await ask(payload, { operation: operationName });
    await enclave.payload(payloadFor(asked, enclave.keys));
    t.not(await copies(enclave.pid, halves(asked.salted.slice(-64))), 0, "while it holds the payload the scan finds it");
    const args = operation(asked, enclave.keys, key, [4, 1, 2]);
    t.equal(enclave.done, false);
    const signed = await enclave.operate(args);
    t.equal(enclave.done, true);
    const ciphertext: Uint8Array = operationName === "encrypt" ? openSigned(args.fields, signed) : payload;
    const working = workingKey(key.master, { ...name, use: "data" }, ciphertext.slice(4, 36));
    t.equal(await copies(enclave.pid, [...secrets, ...halves(working), asked.salted]), 0, operationName);
    await t.rejects(enclave.operate(args), { code: "ENCLAVE_SPENT" });
    const { pid } = enclave;
    await enclave.end();
    t.throws(() => process.kill(pid ?? 0, 0), { code: "ESRCH" });
    if (operationName === "decrypt") t.strictSame(Buffer.from(openSigned(args.fields, signed)), Buffer.from(plaintext));
    payload = ciphertext;
  }
});

void t.test("after a birth no copy of key, shares, mask shares or imported secret is left", async (t) => {
  const secret = systemRandom.bytes(48);
  const { asked, plan, joins, receivers } = await birth(3, [7, 21, 90, 200, 255], secret);
  const enclave = await start();
  t.teardown(() => enclave.end());
  await enclave.payload(payloadFor(asked, enclave.keys));
  const fields = fieldsFor(asked.use, enclave.keys, { epoch: 1, attempt: 1, record: statementHash(plan) });
  const { deal } = await enclave.create({ fields, plan, joins });
  t.equal(enclave.done, true);
  const pieces = deal.body.pieces.map(({ box, piece }, i) => {
    const context = pieceContext(site, statementHash(plan), "enclave", box, "payroll");
    return openText(receivers[i]!, piece, context, context);
  });
  const points = pieces.map((piece, i) => ({ x: deal.body.digests[i]!.x, y: piece.slice(0, 32) }));
  const master = await combineShares(points.slice(0, 3), 3);
  const mask = await combineShares(points.slice(0, 3).map(({ x }, i) => ({ x, y: pieces[i]!.slice(32) })), 3);
  const working = workingKey(master, { ...name, use: "wrap" }, bytesOf(deal.body.imported ?? "").slice(4, 36));
  // The library deals at all 255 x's: any three of them are the key.
  const every = Array.from({ length: 255 }, (_, i) => Uint8Array.from(interpolate(points.slice(0, 3), i + 1)));
  t.strictSame(Buffer.from(every[20]!), Buffer.from(points[1]!.y));
  t.equal(await copies(enclave.pid, [...halves(master), mask, ...halves(working), ...halves(secret)]), 0);
  t.equal(await copies(enclave.pid, [...every, ...pieces.map((piece) => piece.slice(0, 16)), ...pieces.map((piece) => piece.slice(32))]), 0);
});

void t.test("the same scan finds the key in a process that does not wipe", async (t) => {
  const { master, holders } = await makeKey(3, [7, 21, 90]);
  const child = fork(`${root}test/enclave/leaky.mjs`, [], { serialization: "advanced", execArgv: [], env: {} });
  t.teardown(() => child.kill("SIGKILL"));
  child.send({ shares: holders.map(({ x, share }) => ({ x, y: new Uint8Array(share) })) });
  await once(child, "message");
  t.not(await copies(child.pid, [master]), 0);
  t.not(await copies(child.pid, holders.map(({ share }) => share)), 0);
});

void t.test("the permission model is on: no files, no children, no workers, no addons, nothing written", async (t) => {
  const enclave = await start();
  t.teardown(() => enclave.end());
  const command = readFileSync(`/proc/${enclave.pid ?? 0}/cmdline`, "latin1").split("\0");
  const permission = enclavePermission(entry);
  t.ok(permission.every((flag) => command.includes(flag)), "the enclave runs with these flags");
  // What Debian 13's Node 20.19 needs: test/install runs on it.
  const paths = permission.map((flag) => /^--allow-fs-read=(.*)$/.exec(flag)?.[1]).filter((path) => path !== undefined);
  for (const looked of ["package.json", "dist/package.json", "dist/node_modules/zod/", "node_modules/node_modules/zod/"]) t.ok(paths.includes(join(root, looked)), looked);
  t.same(paths.filter((path, at) => paths.some((other, its) => its !== at && path.startsWith(other))), [], "a path that begins another ends it in an assertion");
  const probe = (code: string): string => execFileSync(process.execPath, [...permission, "--input-type=commonjs", "-e",
    `try { ${code}; console.log("allowed"); } catch (error) { console.log(error.code); }`], { encoding: "utf8", env: {} }).trim();
  t.equal(probe(`require("fs").readFileSync(${JSON.stringify(entry.pathname)})`), "allowed", "its own code");
  for (const forbidden of [
    'require("fs").readFileSync("/etc/passwd")', 'require("fs").readdirSync("/")', `require("fs").readFileSync("/proc/self/environ")`,
    'require("fs").writeFileSync("/tmp/enclave-wrote-this", "x")', 'require("child_process").execFileSync("/bin/true")',
    'new (require("worker_threads").Worker)("1", { eval: true })',
  ]) t.equal(probe(forbidden), "ERR_ACCESS_DENIED", forbidden);
  t.match(probe('process.dlopen({ exports: {} }, "/usr/lib/x86_64-linux-gnu/libc.so.6")'), /^ERR_(?:DLOPEN_DISABLED|ACCESS_DENIED)$/);
});

void t.test("no core dump, no inspector by SIGUSR1, a small environment", async (t) => {
  const enclave = await start();
  t.teardown(() => enclave.end());
  const at = `/proc/${enclave.pid ?? 0}`;
  t.match(readFileSync(`${at}/limits`, "utf8"), /^Max core file size +0 +0 /m);
  t.notMatch(readFileSync(`${at}/environ`, "latin1"), /NODE_OPTIONS/);
  process.kill(enclave.pid ?? 0, "SIGUSR1");
  await sleep(300);
  const asked = await ask(systemRandom.bytes(8));
  await enclave.payload(payloadFor(asked, enclave.keys));
  const sockets = readdirSync(`${at}/fd`).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`${at}/fd/${fd}`))?.[1] ?? []);
  const listening = readFileSync(`${at}/net/tcp`, "utf8").split("\n").map((line) => line.trim().split(/\s+/)).filter((columns) => columns[3] === "0A").map((columns) => columns[9]);
  t.strictSame(sockets.filter((inode) => listening.includes(inode)), []);
});

void t.test("killed in the middle: a named error, and it is not started again", async (t) => {
  const enclave = await start();
  t.teardown(() => enclave.end());
  const key = await makeKey(2, [1, 2]);
  const asked = await ask(systemRandom.bytes(8));
  await enclave.payload(payloadFor(asked, enclave.keys));
  const args = operation(asked, enclave.keys, key, [0, 1]);
  process.kill(enclave.pid ?? 0, "SIGSTOP");
  const under = enclave.operate(args);
  process.kill(enclave.pid ?? 0, "SIGKILL");
  await t.rejects(under, { code: "PROCESS_ENDED" });
  await t.rejects(enclave.operate(args), { code: "PROCESS_ENDED" });
  t.equal(enclave.done, false);
});

void t.test("what does not start is refused by name", async (t) => {
  await t.rejects(EnclaveProcess.start(pathToFileURL(`${root}dist/agent/enclave/none.js`), silentLog), { code: "PROCESS_ENDED" });
});
