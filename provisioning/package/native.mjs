import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { debianStep, machine, onPath } from "../setup/debian.mjs";
import { cache } from "../setup/paths.mjs";
import { runSteps, SetupError, unavailable } from "../setup/steps.mjs";

/** Debian's names of what we build for, and Node's. */
export const architectures = { amd64: { node: "x64", gnu: "x86_64" }, arm64: { node: "arm64", gnu: "aarch64" } };

/**
 * pkcs11js for another architecture, compiled by Debian's compiler for it, which apt brings if it may. It uses Node's C
 * interface alone, whose headers are the same for all. Throws SetupError.
 */
export function crossBuilt(root, arch, say) {
  const { gnu } = architectures[arch];
  const compiler = `${gnu}-linux-gnu-g++`;
  const source = join(root, "node_modules/pkcs11js");
  const include = [join(dirname(dirname(process.execPath)), "include/node"), "/usr/include/node"].find((folder) => existsSync(join(folder, "node_api.h")));
  if (include === undefined) throw new SetupError("Node's headers are missing (node_api.h)", unavailable);
  const file = join(cache, "native", arch, "pkcs11.node");
  mkdirSync(dirname(file), { recursive: true });
  const compile = {
    name: `pkcs11js for ${arch}`,
    needed: () => true,
    run: (command) => {
      command(compiler, [
        "-shared", "-fPIC", "-O2", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-DNAPI_DISABLE_CPP_EXCEPTIONS", "-DNODE_GYP_MODULE_NAME=pkcs11", "-DBUILDING_NODE_EXTENSION",
        "-I", include, "-I", join(source, "includes"), "-Wl,-s", "-o", file,
        // As its binding.gyp has them: the others are included by these.
        "src/dl.cpp", "src/common.cpp", "src/main.cpp", "-ldl",
      ], { cwd: source });
    },
  };
  const needs = { package: `g++-${gnu}-linux-gnu`.replaceAll("_", "-"), build: true, found: () => onPath(compiler) };
  runSteps([debianStep(() => true, { ...machine, requirements: [needs] }), compile], join(cache, "package.lock"), say);
  return file;
}
