import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { tally } from "./tally.mjs";

/** Starts a program of node's; its children have its priority. */
export function start(args, { cwd, env = {}, priority = constants.priority.PRIORITY_NORMAL } = {}) {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  if (child.pid !== undefined) setPriority(child.pid, priority);
  return child;
}

/**
 * A compiled test file in a process of its own, as node runs it: tap's own runner takes as long for each as most of them
 * take. Prints a line for it and its failures; a file that crashed, was killed or has no test is one failure more.
 * @param mostS so long tap gives it; then it ends itself, and is ended if it cannot
 */
export async function play(file, { cwd, priority, mostS, graceS = 10, print }) {
  const began = performance.now();
  const child = start([file], { cwd, priority, env: { TAP_TIMEOUT: String(mostS) } });
  const late = setTimeout(() => child.kill("SIGKILL"), (mostS + graceS) * 1000);
  const [total, [code, signal]] = await Promise.all([tally(child.stdout, file, print), once(child, "close")]);
  clearTimeout(late);
  if (total.failed === 0 && (code !== 0 || total.passed + total.skipped.length === 0)) {
    print(`FAILED ${file} ended with ${signal ?? `exit ${code}`} after ${total.passed} passed`);
    total.failed = 1;
  }
  const counts = `${total.passed} passed${total.failed === 0 ? "" : `, ${total.failed} failed`}`;
  print(`${total.failed === 0 ? "ok    " : "FAILED"} ${file}  ${counts}, ${Math.round(performance.now() - began)} ms`);
  return total;
}

export const sumOf = (totals) => ({
  passed: totals.reduce((sum, { passed }) => sum + passed, 0),
  failed: totals.reduce((sum, { failed }) => sum + failed, 0),
  skipped: totals.flatMap(({ skipped }) => skipped),
});
