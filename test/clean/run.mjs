import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { freshRoot, inside } from "./debian.mjs";

/*
 * npm run test:clean: the committed HEAD, cloned into a Debian that has only Node, npm and git, must run
 * the demo and pass the tests: as root, and as a user who is not root where only the compiler was there. The
 * user's set-up is killed in the middle and then started twice at once.
 */
const project = join(import.meta.dirname, "../..");
const root = { name: "root", id: 0, home: "/root" };
const user = { name: "user", id: 1000, home: "/home/user" };
/** From nothing; then with nothing left to do, which the demo says itself; then the tests. */
const commands = [
  "npm run demo",
  `said=$(npm run -s demo -- --scenario use --json); echo "$said"; case "$said" in '{"ok":true,"setup":{"ran":[]},'*) ;; *) exit 1 ;; esac`,
  "npm test",
];
/** Cut off wherever it then is, and repaired by two at once. */
const killedThenTwice = "timeout --signal=KILL 15 npm run setup; npm run setup & first=$!; npm run setup && wait $first";
const checkout = "/work/shardkeep";

function clone(target, owner) {
  const work = join(target, "work");
  mkdirSync(work);
  execFileSync("git", ["clone", "--quiet", "--no-hardlinks", project, join(target, checkout)]);
  const shared = join(project, "../shared");
  if (existsSync(shared)) cpSync(shared, join(work, "shared"), { recursive: true });
  execFileSync("chown", ["-R", `${owner.id}:${owner.id}`, work]);
}

/** Runs `command` in the checkout and notes whether it ended as it must. */
function check(results, target, who, command, wanted = 0) {
  process.stdout.write(`\n== ${who.name}: ${command}\n`);
  const began = performance.now();
  const code = inside(target, who, `cd ${checkout} && ${command}`);
  const took = `${((performance.now() - began) / 1000).toFixed(0)} s`;
  results.push({ passed: code === wanted, text: `${who.name}: ${command}: exit ${code}${wanted === 0 ? "" : ` (wanted ${wanted})`}, ${took}` });
}

function asRoot(target, results) {
  clone(target, root);
  for (const command of commands) check(results, target, root, command);
}

function asUser(target, results) {
  inside(target, root, `useradd --create-home --uid ${user.id} user && cp /root/.npmrc ${user.home}/ && chown user: ${user.home}/.npmrc`);
  clone(target, user);
  check(results, target, user, "npm run setup", 69);
  inside(target, root, "apt-get -q update && apt-get -q -y --no-install-recommends install g++ make python3");
  for (const command of [killedThenTwice, ...commands]) check(results, target, user, command);
}

if (process.getuid() !== 0) {
  process.stdout.write("skipped: debootstrap and chroot need root; run it as root\n");
} else {
  const results = [];
  for (const run of [asRoot, asUser]) {
    const target = freshRoot(join(project, ".cache/clean"));
    try {
      run(target, results);
    } finally {
      rmSync(target, { recursive: true });
    }
  }
  process.stdout.write(`\nDebian 12 with only npm, git and Node ${process.version} (this machine's: Debian's own is too old)\n`);
  for (const { passed, text } of results) process.stdout.write(`${passed ? "ok    " : "FAILED"} ${text}\n`);
  process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
}
