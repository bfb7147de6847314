import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Test } from "tap";
import { root } from "#paths";
import "../../support/plain-children.ts";

/** A program of ours as a user runs it; what it leaves in its temporary folder is looked at after. */
export function start(t: Test, folder: string, entry: string, args: readonly string[]) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
  const child = spawn(process.execPath, [`${root}dist/provisioning/${entry}`, ...args], { cwd: folder, env: { ...env, TMPDIR: folder }, stdio: ["pipe", "pipe", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const said = { out: "" };
  let heard: () => void = () => undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => { said.out += text; });
  createInterface({ input: child.stderr }).on("line", (line) => { lines.push(line); heard(); });
  const ended = new Promise<number | null>((resolve) => { child.once("close", (code) => { resolve(code); heard(); }); });
  /** The first line on stderr from number `from` on that matches. */
  const line = async (pattern: RegExp, from = 0): Promise<string> => {
    for (;;) {
      const found = lines.slice(from).find((one) => pattern.test(one));
      if (found !== undefined) return found;
      if (child.exitCode !== null) throw new Error(`no ${String(pattern)} in: ${lines.join("\n")}`);
      await new Promise<void>((resolve) => { heard = resolve; });
    }
  };
  return { child, said, lines, line, ended, type: (text: string) => { child.stdin.write(`${text}\n`); } };
}

export const demo = (t: Test, folder: string, ...args: string[]): ReturnType<typeof start> => start(t, folder, "demo/main.js", args);

export function temporary(t: Test, name = "demo-"): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  return folder;
}
