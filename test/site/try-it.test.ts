import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { root } from "#paths";
import { freePort } from "../provisioning/support.ts";
import { leftIn, runningIn, shellBlocks, Terminal } from "../support/doc-commands.ts";
import "../support/plain-children.ts";

const documentedPort = "18883";
const deadlineMs = 200_000;

/** docs/try-it.md as a reader follows it, but for the TLS port and set-up, which `npm test` has done. */
await t.test("the site by hand opens what it sealed, and leaves nothing", { timeout: deadlineMs }, async (t) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "try-it-")));
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: folder };
  delete env["NODE_OPTIONS"];
  delete env["SHARDKEEP_CLIENT"];
  const terminal = new Terminal(root, env);
  t.teardown(() => {
    terminal.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const [setup, ...blocks] = shellBlocks(readFileSync(join(root, "docs/try-it.md"), "utf8"));
  t.equal(setup, "npm run setup\n");
  const port = String(await freePort());
  /** The next block, which must hold `command`. */
  const follow = async (command: string): Promise<string> => {
    const block = blocks.shift() ?? "";
    t.match(block, command, `a block with ${command}`);
    return await terminal.run(block.replaceAll(documentedPort, port));
  };
  const site = (file: string): Buffer => readFileSync(join(folder, readdirSync(folder)[0] ?? "", file));

  t.match(await follow("shardkeep --help"), "Usage: shardkeep");
  await follow("cat > coordinator.yaml");
  await follow("shardkeep site init");
  await follow("shardkeep box accept");
  const before = await follow("shardkeep agent");
  t.match(before, /record version \d+ \(UNSEALED\)/);
  t.equal(before.match(/^box-[123] +rack-[123] +ready +software +ready \(emulated\)/gm)?.length, 3);
  t.match(before, "box-1 shows it for 5s: on the ring of its sensor alone, for no panel answers there");
  await follow("shardkeep site apply");
  const people = await follow("shardkeep person add");
  t.match(people, "bob's index is known at box-2 (an emulated sensor: no real finger was measured)");
  t.match(people, /^alice +officer +index at box-1$/m);
  t.match(await follow("shardkeep site seal"), "is sealed");

  const born = await follow("shardkeep key create");
  t.match(born, /approved by (?:alice at box-1, bob at box-2|bob at box-2, alice at box-1)/);
  t.match(born, /^payroll +aes-256 +2 of 3 +3 of 3 +1 +generated +3 +- +-$/m);
  t.equal(born.match(/ready \(emulated\)/g)?.length, 3);

  const stricter = await follow("stricter.yaml");
  t.match(stricter, /^ {2}- rule payroll payroll\/\*\*: wrap need 1 × officer[^]*^ {2}\+ rule payroll payroll\/\*\*: wrap need alice/m);
  t.match(stricter, "wanted: alice at box-1; bob at box-2");
  t.match(stricter, /applied, record version \d+\n[^]*admin asks to change the site record, version \d+/);
  t.match(stricter, /^ {2}1 \S+ unsealed, by the authority alone$[^]*^ {2}\d+ \S+, by (?:alice at box-1, bob at box-2|bob at box-2, alice at box-1) for admin: only Alice seals$/m);

  const opened = await follow("shardkeep open");
  t.match(opened, "march.csv.sealed is sealed under payroll, payroll/2026/march");
  t.match(opened, "opened.csv is open\nalice 5000\n");
  t.same(site("opened.csv"), site("march.csv"));
  t.notOk(site("march.csv.sealed").includes("alice"), "what is sealed cannot be read");
  const codes = [...opened.matchAll(/code (\d{4})/g)].map(([, code]) => code);
  t.match(opened.trimEnd().split("\n").at(-1), `code ${codes.at(-2) ?? "missing"}: touch the sensor to approve`, "the sensor shows the code of the command");

  const fresh = await follow("shardkeep key reshard");
  t.match(fresh, /^key payroll: epoch 2, 2 of 3, held by box-1, box-2, box-3$/m);
  t.match(fresh, /re-sharded \(order\), prepared by box-1, box-2, box-3[^]*^KEY +EPOCH +ATTEMPT +NEEDED +OPEN +SOFTWARE +HARDWARE +EFFECTIVE\npayroll +1 +2 +2 /m);

  t.match(await follow("box-3 is away"), /shards from (?:box-1, box-2|box-2, box-1)\nagain.csv is open/);
  t.same(site("again.csv"), site("march.csv"));
  t.not(runningIn(folder).length, 0);

  await follow("kill $(cat pids)");
  t.same(blocks, [], "every block was followed");
  await terminal.close();
  t.same(await leftIn(folder), []);
  t.same(readdirSync(folder), []);
});
