import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSteps } from "../../provisioning/setup/steps.mjs";

/*
 * A set-up of two steps in the folder of its argument, each a program that notes its begin and end in
 * `log` and ends once the file `go` is there. Prints what ran, as JSON.
 */
const [folder] = process.argv.slice(2);
const script = "echo begin >> log; until [ -e go ]; do sleep 0.02; done; echo end >> log";
const steps = ["first", "second"].map((name) => ({
  name,
  needed: () => !existsSync(join(folder, name)),
  run: (command) => {
    command("sh", ["-c", script], { cwd: folder });
    writeFileSync(join(folder, name), "");
  },
}));
const ran = runSteps(steps, join(folder, "lock"), (text) => { process.stderr.write(`${text}\n`); });
process.stdout.write(JSON.stringify(ran));
