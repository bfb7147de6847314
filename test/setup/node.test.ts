import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import { buildStep, packagesStep } from "#setup/node";

const lock = (packages: object) => JSON.stringify({ packages });
const wanted = { "": { version: "0.1.0" }, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0", optional: true } };
const prefix = dirname(dirname(process.execPath));
const hasHeaders = (folder: string): boolean => existsSync(join(folder, "include/node/node.h"));
const native = "pkcs11js/build/Release/pkcs11.node";

/** A project whose node_modules holds `present` by npm's own note, and the native module. */
function project(t: Test, present: object): string {
  const root = t.testdir({
    "package-lock.json": lock(wanted),
    node_modules: { ".package-lock.json": lock(present), pkcs11js: { build: { Release: { "pkcs11.node": "" } } } },
  });
  return root;
}

void t.test("packages: needed unless every version is the lock's and the native module is built", (t) => {
  const needed = (present: object) => packagesStep(project(t, present)).needed();
  const a = { "node_modules/a": { version: "1.0.0" } };
  t.equal(needed({ ...a, "node_modules/b": { version: "2.0.0" } }), false);
  t.equal(needed(a), false, "another platform's optional package");
  t.equal(needed({}), true, "one is missing");
  t.equal(needed({ "node_modules/a": { version: "1.0.1" } }), true, "one has another version");
  t.equal(needed({ ...a, "node_modules/b": { version: "2.0.1" } }), true, "an optional one has another version");
  t.equal(needed({ ...a, "node_modules/c": { version: "1.0.0" } }), true, "one is too many");
  const root = project(t, a);
  rmSync(join(root, "node_modules", native));
  t.equal(packagesStep(root).needed(), true, "its install script was blocked");
  rmSync(join(root, "node_modules"), { recursive: true });
  t.equal(packagesStep(root).needed(), true, "npm was killed");
  t.end();
});

void t.test("packages: npm ci with the developer's packages; an unbuilt native module is an error", (t) => {
  const root = project(t, {});
  const lines: string[] = [];
  packagesStep(root).run((file, args, options) => {
    lines.push([file, ...args].join(" "));
    t.equal(options?.cwd, root);
    const nodedir = options?.env?.["npm_config_nodedir"];
    t.equal(nodedir !== undefined && hasHeaders(nodedir), [prefix, "/usr"].some(hasHeaders), "node-gyp is told where Node's headers are");
  });
  t.strictSame(lines, ["npm ci --include=dev --no-audit --no-fund --loglevel=error"]);
  rmSync(join(root, "node_modules", native));
  t.throws(() => { packagesStep(root).run(() => undefined); }, /pkcs11js unbuilt/);
  t.end();
});

void t.test("build: needed when any source or the configuration differs from the last build", (t) => {
  const root = t.testdir({ "tsconfig.json": JSON.stringify({ include: ["agent/**/*.ts", "gone/**/*.ts"] }), agent: { "a.ts": "1" } });
  const step = buildStep(root);
  const source = (name: string, text: string) => { writeFileSync(join(root, name), text); };
  t.equal(step.needed(), true);
  t.throws(() => { step.run(() => { throw new Error("type error"); }); }, /type error/);
  t.equal(step.needed(), true, "a failed build is not a build");
  step.run(() => undefined);
  t.equal(step.needed(), false);
  source("agent/a.ts", "2");
  t.equal(step.needed(), true, "changed");
  source("agent/a.ts", "1");
  t.equal(step.needed(), false, "the same again, whatever its time stamp");
  mkdirSync(join(root, "agent/b"));
  source("agent/b/b.ts", "");
  t.equal(step.needed(), true, "a new file");
  step.run(() => { source("agent/b/b.ts", "changed meanwhile"); });
  t.equal(step.needed(), true, "changed while it was compiled");
  t.end();
});
