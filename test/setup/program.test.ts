import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "#paths";
import t from "tap";

void t.test("set-up speaks on stderr only, and ends with its error's exit code", (t) => {
  for (const args of [["--run", "nonsense"], ["nonsense"]]) {
    const done = spawnSync(process.execPath, [join(root, "provisioning/setup.mjs"), ...args], { encoding: "utf8" });
    t.match(done, { status: 64, stdout: "", stderr: /^set-up: usage: node provisioning\/setup\.mjs/ }, args.join(" "));
  }
  t.end();
});
