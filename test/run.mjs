import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { text } from "node:stream/consumers";
import { tally } from "./tally.mjs";

/*
 * node test/run.mjs [TEST FILE …]
 *
 * Types, then the tests as they were compiled. Whole sites wait for fingers and clocks half of their time: there the linter
 * and the tests that need nothing but the processor run beside them, at the lowest priority. With files, just types and these
 * tests. Its last line is always `N passed, N failed`, and it exits 0 only if something passed and nothing failed.
 */
const root = join(import.meta.dirname, "..");
const files = process.argv.slice(2);
/** Folders whose tests wait for nothing but the processor: no serial line, no broker, no watchdog. */
const steady = ["model", "rules", "protocol", "sharding", "simulation", "coordinator", "box", "client", "docs", "support"];
const folderOf = (file) => relative(join(root, "test"), resolve(file)).split(sep)[0];

/** Whole sites of some twenty processes each: two of them are enough for two cores. */
const isSite = (file) => /^test\/(?:site\/(?:demo|try-it|mosquitto)|provisioning\/demo\/story)/.test(relative(root, resolve(file)).replaceAll(sep, "/"));

/** Every test there is a source of; in dist/ there may be one whose source is gone. */
function everyTest() {
  return readdirSync(join(root, "test"), { recursive: true }).filter((file) => file.endsWith(".test.ts")).map((file) => join("test", file));
}

/** A test as tsc has left it in dist/. */
const compiled = (file) => join("dist", relative(root, resolve(file))).replace(/\.ts$/, ".js");

function print(line) {
  process.stdout.write(`${line}\n`);
}

/** `tool` is a program of npm's, or a file of ours; its children have its priority. */
function start(tool, args, priority = constants.priority.PRIORITY_NORMAL) {
  const program = tool.endsWith(".mjs") ? join(root, tool) : realpathSync(join(root, "node_modules/.bin", tool));
  const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  if (child.pid !== undefined) setPriority(child.pid, priority);
  return child;
}

/** Runs a tool that is silent when all is well; its output is shown if it is not. */
async function clean([tool, ...args], priority) {
  const began = performance.now();
  const child = start(tool, args, priority);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  print(`${code === 0 ? "ok    " : "FAILED"} ${[tool, ...args].join(" ")}  ${Math.round(performance.now() - began)} ms`);
  if (code !== 0) print(output.trimEnd());
  return code === 0;
}

/** As set-up builds; a program whose parts have changed is one file anew. */
async function build() {
  return await clean(["tsc", "-p", "tsconfig.json"]) && await clean(["provisioning/setup/bundle.mjs"]);
}

/** npm brings a tap with all its plugins; the one without those that .taprc leaves out is built once. */
async function leaveOutPlugins() {
  const built = readFileSync(join(root, "node_modules/@tapjs/test/test-built/dist/esm/index.js"), "utf8");
  return !built.includes("@tapjs/typescript") || await clean(["tap", "build"]);
}

async function test(all, jobs, priority) {
  const tap = start("tap", ["run", "--reporter=tap", "--disable-coverage", `--jobs=${jobs}`, ...all.map(compiled)], priority);
  const [total, [code, signal]] = await Promise.all([tally(tap.stdout, print), once(tap, "close")]);
  if (total.failed === 0 && (code !== 0 || total.passed === 0)) {
    print(`FAILED tap ended with ${signal ?? `exit ${code}`} after ${total.passed} passed`);
    total.failed = 1;
  }
  return total;
}

async function testAll() {
  const all = everyTest();
  const beside = all.filter((file) => steady.includes(folderOf(file)));
  const sites = all.filter(isSite);
  const low = constants.priority.PRIORITY_LOW;
  const filling = async () => ({ linted: await clean(["eslint", "."], low), ...await test(beside, 1, low) });
  const [filled, played] = await Promise.all([filling(), test(sites, 2)]);
  const parts = [filled, played, await test(all.filter((file) => !beside.includes(file) && !sites.includes(file)), 3)];
  const sum = (what) => parts.reduce((total, part) => total + part[what], 0);
  return { passed: sum("passed"), failed: sum("failed") + (filled.linted ? 0 : 1), skipped: parts.flatMap(({ skipped }) => skipped) };
}

async function main() {
  // What set-up has compiled is compiled again only where it changed since.
  const checked = await Promise.all([build(), leaveOutPlugins()]);
  const problems = checked.filter((good) => !good).length;
  if (problems > 0) return { passed: 0, failed: problems, skipped: [] };
  return files.length > 0 ? await test(files, 3) : await testAll();
}

const { passed, failed, skipped } = await main();
for (const line of skipped) print(`skipped ${line}`);
print(`${passed} passed, ${failed} failed${skipped.length === 0 ? "" : `, ${skipped.length} skipped`}`);
process.exitCode = failed === 0 ? 0 : 1;
