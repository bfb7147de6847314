import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SetupError } from "./steps.mjs";

/** The step that makes node_modules what package-lock.json says. */
export function packagesStep(root) {
  const native = join(root, "node_modules/pkcs11js/build/Release/pkcs11.node");
  return {
    name: "packages",
    // npm writes its own copy of the lock last of all; the native module is what a blocked script leaves out.
    needed: () => !existsSync(native) || !sameVersions(lockedPackages(join(root, "package-lock.json")), lockedPackages(join(root, "node_modules/.package-lock.json"))),
    run: (command) => {
      const headers = headersPrefix();
      command("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
        cwd: root,
        env: { ...process.env, ...(headers === undefined ? {} : { npm_config_nodedir: headers }) },
      });
      if (!existsSync(native)) throw new SetupError("npm ci left pkcs11js unbuilt: allowScripts in package.json must name it");
    },
  };
}

function lockedPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).packages : {};
}

function sameVersions(wanted, present) {
  const names = Object.keys(wanted).filter((name) => name !== "");
  return names.every((name) => present[name]?.version === wanted[name].version || (wanted[name].optional && present[name] === undefined))
    && Object.keys(present).every((name) => name in wanted);
}

/** Where Node's headers are; without them node-gyp would fetch them from the network. */
function headersPrefix() {
  return [dirname(dirname(process.execPath)), "/usr"].find((prefix) => existsSync(join(prefix, "include/node/node.h")));
}

const bundler = join(import.meta.dirname, "bundle.mjs");

/** The step that compiles what tsconfig.json includes into dist/, and makes one file of each program there. */
export function buildStep(root) {
  const marker = join(root, "dist/.sources");
  const sources = () => sourcesDigest(root);
  return {
    name: "build",
    needed: () => !existsSync(marker) || readFileSync(marker, "utf8") !== sources(),
    run: (command) => {
      // Taken before: a source that changes while it is compiled is compiled again next time.
      const digest = sources();
      command(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json"], { cwd: root });
      command(process.execPath, [bundler], { cwd: root });
      mkdirSync(dirname(marker), { recursive: true });
      writeFileSync(marker, digest);
    },
  };
}

function sourcesDigest(root) {
  const config = readFileSync(join(root, "tsconfig.json"));
  const hash = createHash("sha256").update(config).update(readFileSync(bundler));
  const folders = JSON.parse(config.toString()).include.map((pattern) => pattern.replace("/**/*.ts", ""));
  for (const folder of folders.filter((name) => existsSync(join(root, name)))) {
    for (const name of readdirSync(join(root, folder), { recursive: true }).filter((entry) => entry.endsWith(".ts")).sort()) {
      hash.update(`\0${folder}/${name}\0`).update(readFileSync(join(root, folder, name)));
    }
  }
  return hash.digest("hex");
}
