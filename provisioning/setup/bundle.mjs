import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { build } from "esbuild";
import { root } from "./paths.mjs";

/*
 * Puts each program of dist/ into one file with all that it imports: a process starts in half the time, which on a
 * small box, and for the twenty of a site on one machine, is most of what a start costs (docs/decisions/0001).
 */
const programs = [
  "agent/box/init", "agent/box/main", "agent/coordinator/init", "agent/coordinator/main", "agent/enclave/main", "agent/hsm/main",
  "firmware-bridge/main", "firmware-bridge/emulators/main", "provisioning/main", "provisioning/demo/main",
];
/** Native modules look for their binary beside themselves. They are loaded where they are first used: a command that needs none does not wait for them. */
const native = {
  name: "native",
  setup(bundle) {
    bundle.onResolve({ filter: /^(?:pkcs11js|classic-level|@serialport\/bindings-cpp)$/ }, ({ path, namespace }) => (namespace === "native" ? { path, external: true } : { path, namespace: "native" }));
    bundle.onLoad({ filter: /.*/, namespace: "native" }, ({ path }) => ({ contents: `module.exports = require(${JSON.stringify(path)});`, loader: "js" }));
  },
};
/** Packages written as CommonJS ask for Node's own modules by `require`. */
const banner = { js: [
  'import { createRequire as requireFrom } from "node:module";',
  "const require = requireFrom(import.meta.url);",
  'const ownDist = import.meta.url.slice(0, import.meta.url.lastIndexOf("/dist/") + "/dist/".length);',
].join("\n") };

/** Zod brings what it says in fifty languages, a third of it; it is asked for one. */
const oneLanguage = {
  name: "one-language",
  setup(bundle) {
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({ contents: 'export { default as en } from "./en.js";' }));
  },
};

/** A module goes on looking for its neighbours where tsc would have put it. */
const inItsPlace = {
  name: "in-its-place",
  setup(bundle) {
    bundle.onLoad({ filter: /\.(?:ts|mjs)$/ }, async ({ path }) => {
      const contents = await readFile(path, "utf8");
      if (path.includes("node_modules") || !contents.includes("import.meta.url")) return undefined;
      const isSource = path.endsWith(".ts");
      const place = isSource ? relative(root, path).replace(/\.ts$/, ".js") : join("..", relative(root, path));
      return { contents: contents.replaceAll("import.meta.url", `new URL(${JSON.stringify(place)}, ownDist).href`), loader: isSource ? "ts" : "js" };
    });
  },
};

await build({
  absWorkingDir: root, entryPoints: programs.map((program) => `${program}.ts`), outdir: "dist", outbase: root, allowOverwrite: true,
  bundle: true, platform: "node", format: "esm", target: "node20", banner, plugins: [inItsPlace, native, oneLanguage], logLevel: "warning",
});
