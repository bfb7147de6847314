import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { debianStep, machine } from "./setup/debian.mjs";
import { buildStep, packagesStep } from "./setup/node.mjs";
import { cache, root } from "./setup/paths.mjs";
import { runSteps, SetupError } from "./setup/steps.mjs";

/*
 * node provisioning/setup.mjs [--run PROGRAM -- ARGUMENTS]
 *
 * Makes a machine that has only Node and apt ready: Debian's packages, npm's packages, the build. Does
 * nothing where all is there. Speaks on stderr only: stdout belongs to the program that runs after it.
 */
const programs = {
  demo: "dist/provisioning/demo/main.js",
  bench: "dist/test/bench/main.js",
  model: "dist/test/model/main.js",
  "kill-matrix": "dist/test/kill-matrix/main.js",
  "power-cut": "dist/test/power-cut/main.js",
  simulate: "dist/test/simulation/main.js",
};

function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

function setUp(forTests) {
  const packages = packagesStep(root);
  return runSteps([debianStep(packages.needed, machine, forTests), packages, buildStep(root)], join(cache, "setup.lock"), say);
}

try {
  const [flag, name, , ...args] = process.argv.slice(2);
  const program = programs[name];
  if (flag !== undefined && (flag !== "--run" || program === undefined)) {
    throw new SetupError(`usage: node provisioning/setup.mjs [--run ${Object.keys(programs).join("|")} -- ARGUMENTS]`, 64);
  }
  const ran = setUp(program === undefined);
  if (program !== undefined) {
    // In this very process: signals, terminal and exit code are the program's own.
    const file = join(root, program);
    process.argv = [process.execPath, file, "--setup-ran", ran.join(","), ...args];
    await import(pathToFileURL(file).href);
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}
