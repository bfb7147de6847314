import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import t from "tap";
import { root } from "#paths";
import { mutants } from "./mutants.ts";

const dist = `${root}dist/`;

function simulate(...args: readonly string[]): { readonly status: number | null; readonly out: string } {
  const env = { ...process.env, NODE_OPTIONS: "" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${dist}test/simulation/main.js`, ...args], { env, encoding: "utf8", maxBuffer: 1 << 26 });
  return { status, out: stdout + stderr };
}

void t.test("no seed breaks a rule, and the seeds do bring attempts into force and burn others", async (t) => {
  const { status, out } = simulate("--seeds", "200");
  t.equal(status, 0, out);
  const [, settled, burnt] = /200 seeds, 0 broke a rule; (\d+) attempts in force, (\d+) burnt/.exec(out) ?? [];
  t.ok(Number(settled) > 50, `${settled} in force`);
  t.ok(Number(burnt) > 50, `${burnt} burnt`);
});

void t.test("a seed replays to the same trace, also in another process", async (t) => {
  // A liar, and none.
  for (const seed of ["4", "1"]) {
    const [once, again] = [simulate("--seed", seed), simulate("--seed", seed)];
    t.match(once.out, /^trace [0-9a-f]{64}$/m);
    t.equal(once.out, again.out);
  }
});

void t.test("the real cryptography keeps the rules too", async (t) => {
  const { status, out } = simulate("--seeds", "2", "--real-crypto");
  t.equal(status, 0, out);
});

void t.test("the text of every mutant stands in the code exactly once", async (t) => {
  for (const { name, changes } of mutants) {
    for (const { file, from } of changes) t.equal(readFileSync(`${dist}${file}`, "utf8").split(from).length, 2, `${name} in ${file}`);
  }
  t.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
});

void t.test("mutants are caught", async (t) => {
  const { status, out } = simulate("--mutants", "destroy-before-d", "next-dropped-at-own-burn", "mask-kept", "--seeds", "10");
  t.equal(status, 0, out);
  t.match(out, "3 of 3 mutants caught within 10 seeds");
});
