import { writeFileSync } from "node:fs";
import t from "tap";
import { version } from "../../agent/runtime/version.ts";
import { place, shardkeep, shardkeepBatch } from "./support.ts";

const commands = [
  "site init", "site approve", "site invite", "site apply", "site show", "site seal", "site acl", "site recovery-key", "site recovery-check", "site recovery", "site recover", "box plan", "box request", "box accept", "box join", "box verify", "box label", "box reset", "box identify", "box pause", "box resume", "box readmit", "box replace", "box retire", "client request", "client add", "client accept", "client remove", "person add", "person list", "person remove",
  "key create", "key list", "key show", "key reshard", "use", "seal", "open", "status", "doctor", "backup", "restore", "support-bundle", "agent", "coordinator",
];

void t.test("every command has help with examples of itself", async (t) => {
  const helps = await shardkeepBatch(commands.map((name) => [...name.split(" "), "--help"]));
  for (const [i, name] of commands.entries()) {
    const { code, stdout, stderr } = helps[i]!;
    t.equal(code, 0, name);
    t.match(stdout, new RegExp(`Examples:\n {2}\\$ shardkeep ${name}`), name);
    t.equal(stderr, "", `${name}: nothing on stderr`);
  }
  t.match(await shardkeep(["status", "--help"]), { code: 0, stdout: /Examples:/, stderr: "" }, "as a process of its own too");
  t.match(await shardkeep(["demo", "--help"]), { code: 0, stdout: /npm run demo -- --scenario NAME[^]*--interactive/, stderr: "" }, "the demo's is its own");
  const { code, stdout } = await shardkeep(["--help"]);
  t.equal(code, 0);
  for (const name of new Set(["demo", ...commands.map((one) => one.split(" ")[0] ?? "")])) t.match(stdout, new RegExp(`^ {2}${name} `, "m"), `${name} is listed`);
  t.match(stdout, /Exit codes:/);
  t.equal((await shardkeep(["--version"])).stdout, `${version}\n`);
});

void t.test("wrong usage: exit 64, what is wrong, and where to look", async (t) => {
  const table: [string, string[], RegExp][] = [
    ["no command", [], /^Usage: shardkeep /m],
    ["a group alone", ["site"], /^Usage: shardkeep site /m],
    ["an unknown command", ["bogus"], /USAGE: unknown command 'bogus'\n {2}next: shardkeep --help/],
    ["an unknown option", ["status", "--bogus"], /USAGE: unknown option '--bogus'/],
    ["a missing argument", ["seal"], /USAGE: missing required argument 'file'/],
    ["everything missing, at once", ["use", "decrypt"], /--key: is needed\n {2}--resource: is needed\n {2}--reason: is needed\n {2}next: shardkeep use --help/],
    ["everything bad, at once", ["use", "decrypt", "--key", "A B", "--resource", "a/**", "--reason", ""], /--key: 1 to 32[^]*--resource: a path[^]*--reason: /],
    ["an unknown operation", ["use", "steal", "--key", "k", "--resource", "r", "--reason", "x"], /USAGE: OPERATION: /],
    ["a threshold that is no number", ["key", "create", "k", "--threshold", "two", "--holders", "a,b"], /--threshold: a number/],
    ["a threshold of one", ["key", "create", "k", "--threshold", "1", "--holders", "a,b"], /--threshold: /],
    ["more than there are holders", ["key", "create", "k", "--threshold", "3", "--holders", "a,b"], /--threshold: more than there are holders/],
    ["a holder twice", ["key", "create", "k", "--threshold", "2", "--holders", "a,a"], /--holders: a box stands twice/],
    ["a number of holders below the floor", ["key", "reshard", "k", "--size", "2", "--margin", "9"], /--size: [^]*--margin: /],
    ["a holder twice in a re-shard", ["key", "reshard", "k", "--holder", "a", "--holder", "b", "--holder", "a"], /--holder: a box stands twice/],
    ["holders too few", ["key", "reshard", "k", "--holder", "a", "--holder", "b"], /--holder: name all holders/],
    ["a reason for nobody", ["key", "reshard", "k", "--reason", "x"], /--reason is for people/],
    ["a bad key name", ["key", "create", "K!", "--threshold", "2", "--holders", "a,b"], /NAME: 1 to 32/],
    ["no time of maintenance", ["box", "pause", "box-1"], /--for: is needed/],
    ["a bad time of maintenance", ["box", "pause", "box-1", "--for", "soon"], /--for: a number with s, m or h/],
    ["too long a time to blink", ["box", "identify", "box-1", "--for", "11m"], /--for: at most 10m/],
    ["a bad box to find", ["box", "identify", "A B"], /BOX: 1 to 32/],
    ["a bad box", ["box", "resume", "A B"], /BOX: 1 to 32/],
    ["a bad box to readmit", ["box", "readmit", "A B"], /BOX: 1 to 32/],
    ["a plan of nothing", ["box", "plan"], /--config: is needed/],
    ["a rehearsal of nothing", ["box", "request", "--dry-run"], /--config: is needed\n {2}--out: is needed/],
    ["nowhere to join", ["box", "join", "--config", "x.yaml", "--at", "here"], /--at: HOST:PORT/],
    ["a bad box to invite", ["site", "invite", "A B"], /BOX: 1 to 32/],
    ["a bad box to retire", ["box", "retire", "A B"], /BOX: 1 to 32/],
    ["nowhere for the answer", ["box", "replace", "box-3", "request.json"], /--out: is needed/],
    ["a reset of no named box", ["box", "reset", "--config", "box.yaml"], /--yes: is needed/],
    ["a bad client to remove", ["client", "remove", "A B"], /ID: 1 to 32/],
    ["an empty reason", ["site", "apply", "policy.yaml", "--reason", ""], /--reason: /],
    ["a card for nobody", ["site", "recovery-key"], /--threshold: is needed\n {2}--cards: is needed\n {2}--out: is needed/],
    ["more cards needed than there are", ["site", "recovery-key", "--threshold", "4", "--cards", "3", "--out", "/nowhere"], /--threshold: more than there are cards/],
    ["one card is enough", ["site", "recovery-key", "--threshold", "1", "--cards", "3", "--out", "/nowhere"], /--threshold: /],
    ["a recovery key and none", ["site", "recovery", "--key", "A", "--none"], /--key: base64url of exactly 65 bytes/],
    ["no recovery key, after a delay", ["site", "recovery", "--none", "--delay", "7d"], /either --key, [^]*or --none/],
    ["neither", ["site", "recovery"], /either --key/],
    ["no time for a veto", ["site", "recovery", "--none", "--delay", "30m"], /--delay: 1h to 366d/],
    ["a recovery of nothing", ["site", "recover"], /a policy, or --add/],
    ["half a newcomer", ["site", "recover", "--add", "dave:officer"], /--add: PERSON:ROLE:FINGER:BOX/],
    ["a bad person", ["person", "remove", "A B"], /ID: 1 to 32/],
    ["no output name to guess", ["open", "plain"], /--out: is needed, since plain does not end in \.sealed/],
    ["a JSON document and a secret on one stdout", ["use", "decrypt", "--key", "k", "--resource", "r", "--reason", "x", "--json"], /--json needs stdout for itself/],
  ];
  const ends = await shardkeepBatch(table.map(([, args]) => args));
  for (const [i, [what, args, expected]] of table.entries()) {
    const { code, stdout, stderr } = ends[i]!;
    t.equal(code, 64, what);
    t.match(stderr, expected, what);
    if (!args.includes("--json")) t.equal(stdout, "", `${what}: nothing on stdout`);
  }
  t.match(await shardkeep(["bogus"]), { code: 64, stdout: "", stderr: /USAGE/ }, "as a process of its own too");
});

void t.test("bad configuration: exit 78, every problem at once", async (t) => {
  const { at } = place(t);
  writeFileSync(at("bad.yaml"), "site: Plant!\nstate: here\ncolour: red\n");
  for (const [what, args] of [
    ["coordinator", ["coordinator", "--config", at("bad.yaml")]], ["agent", ["agent", "--config", at("bad.yaml")]], ["site init", ["site", "init", "--config", at("bad.yaml")]],
    ["box request", ["box", "request", "--config", at("bad.yaml"), "--out", at("out")]], ["a client", ["status", "--client", at("bad.yaml")]],
  ] as const) {
    const { code, stderr } = await shardkeep(args);
    t.equal(code, 78, what);
    t.match(stderr, /CONFIG_INVALID: [^]*problems\n[^]*site: [^]*colour/, what);
    t.match(stderr, /next: edit /, what);
  }
  writeFileSync(at("broken.yaml"), "site: [\n");
  t.match(await shardkeep(["status", "--client", at("broken.yaml")]), { code: 78, stderr: /CONFIG_INVALID/ }, "no YAML");
  t.match(await shardkeep(["agent", "--config", at("none.yaml")]), { code: 78, stderr: /CONFIG_UNREADABLE[^]*none\.yaml/ });
  t.match(await shardkeep(["agent"]), { code: 78, stderr: /CONFIG_MISSING[^]*--config FILE/ });
  t.match(await shardkeep(["status"], { cwd: at(".") }), { code: 78, stderr: /there is no client\.yaml[^]*SHARDKEEP_CLIENT/ });
  t.match(await shardkeep(["status"], { env: { SHARDKEEP_CLIENT: at("elsewhere.yaml") } }), { stderr: /elsewhere\.yaml/ }, "the environment says who asks");
});

void t.test("failures in JSON: one document, on stdout", async (t) => {
  const { at } = place(t);
  for (const args of [["status", "--client", at("none.yaml")], ["site", "init", "--config", at("none.yaml")], ["use", "mac"]]) {
    const { stdout, code } = await shardkeep([...args, "--json"]);
    t.match(JSON.parse(stdout), { error: { code: /^[A-Z_]+$/, message: String, remedy: String } }, args.join(" "));
    t.not(code, 0);
  }
});
