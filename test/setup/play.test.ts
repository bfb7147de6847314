import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { play } from "#test/play";
import { root } from "#paths";

const folder = mkdtempSync(join(tmpdir(), "shardkeep-play-"));
t.teardown(() => { rmSync(folder, { recursive: true }); });
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));

async function played(body: string): Promise<{ passed: number; failed: number; skipped: readonly string[]; lines: string[] }> {
  const lines: string[] = [];
  writeFileSync(join(folder, "x.test.mjs"), body);
  return { ...await play("x.test.mjs", { cwd: folder, mostS: 2, graceS: 1, print: (line) => { lines.push(line); } }), lines };
}
const tap = 'import t from "tap"; ';

void t.test("a file's own count; one that crashed, was killed, hangs or has no test is a failure", async (t) => {
  t.match(await played(`${tap} t.test("x", async (t) => { t.ok(true); });`), { passed: 1, failed: 0, lines: [/^ok {5}x\.test\.mjs {2}1 passed, \d+ ms$/] });
  t.match(await played(`${tap} t.test("x", async (t) => { t.ok(false, "y"); });`), { passed: 0, failed: 1, lines: [/^FAILED x\.test\.mjs > x > y/, /0 passed, 1 failed/] });
  t.match(await played(`${tap} t.test("x", { skip: "needs root" }, () => {});`), { passed: 0, failed: 0, skipped: ["x.test.mjs > x: needs root"] });
  t.match(await played("1;"), { passed: 0, failed: 1, lines: [/ended with exit 0 after 0 passed/, /FAILED/] });
  t.match(await played("process.exit(3);"), { failed: 1, lines: [/ended with exit 3 after 0 passed/, /FAILED/] });
  t.match(await played(`${tap} t.test("x", async (t) => { t.ok(true); process.kill(process.pid, "SIGKILL"); });`), { failed: 1 });
  t.match(await played(`${tap} t.test("x", async (t) => { await new Promise(() => setInterval(() => {}, 1000)); });`), { passed: 0, failed: 1, lines: [/timeout!/, /FAILED/] }, "tap ends it");
  t.match(await played(`${tap} t.test("x", async (t) => { for (;;); });`), { failed: 1, lines: [/ended with SIGKILL/, /FAILED/] }, "one that cannot end itself is ended");
});
