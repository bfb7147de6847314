import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { readText } from "./tree.mjs";

/*
 * The packages of npm that production needs, as package-lock.json has them: only what Node reads, for one architecture,
 * and under which licence each of them is.
 */

/** Only types, or only for compiling. */
const needless = /(?:^|\/)node_modules\/(?:@types\/[^/]+|node-addon-api|undici-types)$/;
/** Of no use at run time, wherever they are; and a browser's. */
const ending = /\.(?:[cm]?tsx?|map|md|markdown|c|cc|cpp|h|hpp|gypi?|ya?ml|html|txt|sh|lock|tsbuildinfo)$/i;
/** At the top of a package only: deeper, yaml has code of such a name. */
const folders = new Set(["test", "tests", "example", "examples", "docs", "benchmark", "benchmarks", "deps", "includes", ".github", ".vscode"]);
const useless = /^(?:test|Gruntfile|benchmark)[^/]*\.js$|^dist\/mqtt\.(?:min\.|esm\.)?js$|\.test\.[cm]?js$/;
const licence = /^(?:licen[cs]e|copying|notice)/i;

/**
 * Published without a licence, so it is not ours to give on. Johnny-Five takes it for Piezo alone, which this project
 * never uses (platform.md §2).
 */
const replaced = new Map([["nanotimer", `"use strict";\nmodule.exports = class NanoTimer {\n  constructor() {\n    throw new Error("nanotimer has no licence and is not in this package");\n  }\n};\n`]]);

/** Puts them below `to`. `native` gives pkcs11js, compiled for `arch`, as Node calls it. */
export function vendor(root, tree, to, arch, native) {
  const { packages } = JSON.parse(readText(root, "package-lock.json"));
  const vendored = [];
  for (const [path, { dev, devOptional, version }] of Object.entries(packages)) {
    if (path === "" || dev === true || devOptional === true || needless.test(path)) continue;
    const folder = join(root, path);
    if (!existsSync(folder)) continue; // optional, and for another system
    const { name, license, licenses, author, authors, homepage, repository } = JSON.parse(readText(folder, "package.json"));
    const stub = replaced.get(name);
    if (stub !== undefined) {
      tree.write(`${to}/${path}/package.json`, `${JSON.stringify({ name, version, main: "index.js" })}\n`);
      tree.write(`${to}/${path}/index.js`, stub);
      continue;
    }
    for (const file of filesOf(folder, arch)) tree.copy(join(folder, file), `${to}/${path}/${file}`);
    if (name === "pkcs11js") tree.copy(native, `${to}/${path}/build/Release/pkcs11.node`);
    const texts = readdirSync(folder).filter((file) => licence.test(file)).sort().map((file) => readText(folder, file).trim());
    const by = [author ?? authors ?? []].flat().map((one) => one.name ?? one);
    const under = license ?? licenses?.map(({ type }) => type).join(" or ");
    if (under === undefined) throw new Error(`${name} ${version} has no licence: it must not be given on`);
    vendored.push({ name, version, license: under, by, from: homepage ?? repository?.url ?? repository ?? "npm", texts });
  }
  return vendored;
}

/** Below `folder`, without the packages in it, which have entries of their own. */
function filesOf(folder, arch) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((file) => !file.split("/").includes("node_modules") && !folders.has(file.split("/")[0]) && !file.startsWith("build/Release")
      && (licence.test(basename(file)) || !(ending.test(file) || useless.test(file))) && (!file.endsWith(".node") || isFor(file, arch)))
    .sort();
}

/** `prebuilds/linux-arm64/….node`, of Debian's C library. */
function isFor(file, arch) {
  return file.startsWith(`prebuilds/linux-${arch}/`) && !file.includes("musl");
}
