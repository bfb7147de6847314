import { once } from "node:events";
import { readdirSync, realpathSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { text } from "node:stream/consumers";
import { play, start, sumOf } from "./play.mjs";

/*
 * node test/run.mjs [TEST FILE …]
 *
 * Types, then the tests as they were compiled. What waits half of its time, for fingers, clocks and lines, goes first; the
 * linter and the tests that need nothing but the processor run beside it, at the lowest priority. With files, just types and
 * these tests; that is how test/slow is run, which is in no other run. Its last line is always `N passed, N failed`, and it
 * exits 0 only if something passed and nothing failed.
 */
const root = join(import.meta.dirname, "..");
const files = process.argv.slice(2);
/** Folders whose tests wait for nothing but the processor: no serial line, no broker, no watchdog. */
const steady = ["model", "rules", "protocol", "sharding", "simulation", "coordinator", "box", "client", "docs"];
/** Of a test file. */
const mostS = 240;
const folderOf = (file) => relative(join(root, "test"), resolve(file)).split(sep)[0];

/** Whole sites of some twenty processes each: two of them are enough for two cores. The longest first. */
const sites = ["site/demo", "site/demo-reshard", "provisioning/demo/story", "site/demo-panel", "site/try-it", "site/mosquitto"].map((name) => join("test", `${name}.test.ts`));

/** Every test there is a source of; in dist/ there may be one whose source is gone. */
function everyTest() {
  return readdirSync(join(root, "test"), { recursive: true }).filter((file) => file.endsWith(".test.ts") && !file.startsWith(`slow${sep}`)).map((file) => join("test", file));
}

/** The tests of a steady folder as one file, for one process: to start one each would take longer than most of them take. */
function together(folder, all) {
  const file = join("test", folder, "all.js");
  const imports = all.filter((one) => folderOf(one) === folder).map((one) => relative(join("dist/test", folder), compiled(one)).replaceAll(sep, "/"));
  writeFileSync(join(root, "dist", file), imports.map((one) => `import "./${one}";\n`).join(""));
  return file;
}

/** A test as tsc has left it in dist/. */
const compiled = (file) => join("dist", relative(root, resolve(file))).replace(/\.ts$/, ".js");

function print(line) {
  process.stdout.write(`${line}\n`);
}

/** Runs a program of npm's, or a file of ours, that is silent when all is well; its output is shown if it is not. */
async function clean([tool, ...args], priority) {
  const began = performance.now();
  const program = tool.endsWith(".mjs") ? tool : realpathSync(join(root, "node_modules/.bin", tool));
  const child = start([program, ...args], { cwd: root, priority });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  print(`${code === 0 ? "ok    " : "FAILED"} ${[tool, ...args].join(" ")}  ${Math.round(performance.now() - began)} ms`);
  if (code !== 0) print(output.trimEnd());
  return code === 0;
}

/** As set-up builds; a program whose parts have changed is one file anew. */
async function build() {
  return await clean(["tsc", "-p", "tsconfig.json"]) && await clean(["provisioning/setup/bundle.mjs"]);
}

async function test(all, jobs, priority) {
  const left = all.map(compiled);
  const totals = [];
  const work = async () => { for (let file = left.shift(); file !== undefined; file = left.shift()) totals.push(await play(file, { cwd: root, priority, mostS, print })); };
  await Promise.all(Array.from({ length: jobs }, work));
  return sumOf(totals);
}

async function testAll() {
  const all = everyTest();
  const beside = all.filter((file) => steady.includes(folderOf(file)));
  const low = constants.priority.PRIORITY_LOW;
  const filling = async () => [await clean(["eslint", "."], low), await test(steady.map((folder) => together(folder, beside)), 1, low)];
  const waiting = async () => [await test(sites, 2), await test(all.filter((file) => !beside.includes(file) && !sites.includes(file)), 3)];
  const [[isClean, filled], waited] = await Promise.all([filling(), waiting()]);
  return sumOf([filled, ...waited, { passed: 0, failed: isClean ? 0 : 1, skipped: [] }]);
}

async function main() {
  // What set-up has compiled is compiled again only where it changed since.
  if (!await build()) return { passed: 0, failed: 1, skipped: [] };
  return files.length > 0 ? await test(files, 3) : await testAll();
}

const { passed, failed, skipped } = await main();
for (const line of skipped) print(`skipped ${line}`);
print(`${passed} passed, ${failed} failed${skipped.length === 0 ? "" : `, ${skipped.length} skipped`}`);
process.exitCode = failed === 0 ? 0 : 1;
