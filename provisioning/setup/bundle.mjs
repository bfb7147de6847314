import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
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
/** Native modules look for their binary beside themselves. */
const external = ["pkcs11js", "classic-level", "@serialport/bindings-cpp"];
/** Packages written as CommonJS ask for Node's own modules by `require`. */
const banner = { js: 'import { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);' };

/** A module goes on looking for its neighbours where tsc would have put it. */
const inItsPlace = (program) => ({
  name: "in-its-place",
  setup(bundle) {
    bundle.onLoad({ filter: /\.(?:ts|mjs)$/ }, async ({ path }) => {
      const contents = await readFile(path, "utf8");
      if (path.includes("node_modules") || !contents.includes("import.meta.url")) return undefined;
      const place = path.endsWith(".ts") ? join("dist", relative(root, path).replace(/\.ts$/, ".js")) : relative(root, path);
      const own = JSON.stringify(relative(join("dist", dirname(program)), place));
      return { contents: contents.replaceAll("import.meta.url", `new URL(${own}, import.meta.url).href`), loader: path.endsWith(".ts") ? "ts" : "js" };
    });
  },
});

await Promise.all(programs.map((program) => build({
  absWorkingDir: root, entryPoints: [`${program}.ts`], outfile: `dist/${program}.js`, allowOverwrite: true,
  bundle: true, platform: "node", format: "esm", target: "node20", external, banner, plugins: [inItsPlace(program)], logLevel: "warning",
})));
