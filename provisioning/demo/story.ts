import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { root } from "#paths";
import { openFile, sealFile, type Progress } from "../../agent/client/index.ts";
import { both, alice, asks, stranger } from "./asks.ts";
import { Keeper } from "./control-child.ts";
import { scanMemory } from "./memory-scan.ts";
import { buildSite } from "./play.ts";
import { openBoxes, sealSomething, theKey, until, untilWhole } from "./reshards.ts";
import { takeOverAndLie } from "./scenarios/takeover.ts";
import { endOf, Stage } from "./stage.ts";
import type { BoxId, DemoSite } from "./site.ts";
import { waitUntil } from "./wait.ts";

const sha256 = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 16);
const ask = { key: "payroll", resource: "payroll/2026/march", reason: "the demo" };

/** What a box's own console showed for its last prompt; the fourth line is the one that clears it. */
function consoleOf(site: DemoSite, box: BoxId): string {
  return site.processes.get(box)?.lines.filter((line) => line.includes("│")).slice(-4, -1).map((line) => line.split("│")[1]?.trim()).join(" · ") ?? "";
}

/** Neither gone nor a zombie that its parent has not buried yet. */
function isRunning(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) && !/\) [ZX] /.test(readFileSync(file, "utf8"));
}

function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, "utf8").split(" ").filter((text) => text !== "").map(Number) : [];
}

/** All processes of the site and their children: where a secret could have been left. */
function processesOf(site: DemoSite): number[] {
  const parents = [...site.processes].filter(([name]) => !name.startsWith("sensor-")).map(([, { pid }]) => pid);
  return [...parents, ...parents.flatMap(childrenOf)];
}

/** The enclaves that there are: between operations the one that is started ahead for the next. */
function enclavesOf(site: DemoSite): number[] {
  const isEnclave = (pid: number): boolean => isRunning(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/agent/enclave/main.js");
  return childrenOf(site.processes.get("coordinator")?.pid ?? 0).filter(isEnclave);
}

/** Tells the main job in about a screen, each line with its time. */
export async function tellStory(site: DemoSite, say: (line: string) => void): Promise<void> {
  const line = (ms: number, text: string): void => { say(`${(ms / 1000).toFixed(1).padStart(6)} s  ${text}`); };
  const stage = new Stage(site, ({ name, ms }) => { line(ms, name); });
  say("Shardkeep demo: real are PKCS#11 tokens (SoftHSM2), serial lines, MQTT over TLS and every process; EMULATED are the five sensors and their fingers.");
  await buildSite(stage);
  say("          nobody has the key: five HSMs hold a shard each, any three of them make it, for one operation");

  const sealed = site.path("README.sealed");
  const opened = site.path("README.opened");
  const source = `${root}README.md`;
  let told: Progress[] = [];
  const follow = (fingers: typeof both) => {
    told = [];
    let touching: Promise<void> | undefined;
    let ended: () => void = () => undefined;
    const over = new Promise<void>((resolve) => { ended = resolve; });
    const onProgress = (progress: Progress): void => {
      told.push(progress);
      if (progress.state === "waiting") touching ??= stage.touch(fingers, over);
    };
    return { onProgress, end: async () => { ended(); await touching; } };
  };

  await stage.step("README.md sealed: a data key wrapped under the master key, one officer's finger", async () => {
    const { onProgress, end } = follow(alice);
    await sealFile(site.client, source, sealed, ask, { onProgress }).finally(end);
  });
  await waitUntil("an enclave started ahead", 10_000, () => Promise.resolve(enclavesOf(site).length === 1));
  const [enclave = 0] = enclavesOf(site);
  await stage.step("opened with two officers' fingers at two boxes", async () => {
    const { onProgress, end } = follow(both);
    await openFile(site.client, sealed, opened, { ...ask, reason: "reading it again" }, { onProgress }).finally(end);
  });
  const accepted = told.find((progress) => progress.state === "accepted");
  const code = accepted?.state === "accepted" ? accepted.code : "?";
  for (const [box] of both) stage.expect(consoleOf(site, box).includes(`admin asks to unwrap ${ask.resource}`) && consoleOf(site, box).includes(`code ${code}`), `the console of ${box} showed another request: ${consoleOf(site, box)}`);
  say(`          the requester saw code ${code}; so did both consoles: ${consoleOf(site, "box-1")}`);
  const challenged = told.find((progress) => progress.state === "challenged");
  const released = told.find((progress) => progress.state === "released");
  await waitUntil(`enclave ${enclave} gone`, 5000, () => Promise.resolve(!isRunning(enclave)));
  say(`          ${challenged?.state === "challenged" ? challenged.holders.length : 0} HSMs challenged, shards of ${released?.state === "released" ? released.holders.join(", ") : "?"} combined in enclave process ${enclave}, which has wiped itself and is gone`);
  stage.expect(sha256(source) === sha256(opened), "the opened file is not the sealed one");
  say(`          SHA-256 of README.md and of what was opened: ${sha256(source)}… identical`);

  const refused = await stage.step("a stranger's finger, twice", () => endOf(stage.use(asks.encrypt(new Uint8Array(8)), stranger)));
  stage.expect(refused === "INVALID_BIOMETRICS", `a stranger ended with ${String(refused)}`);
  say(`          refused: ${String(refused)}`);

  const opens = await sealSomething(stage);
  const { epoch } = await theKey(site);
  const cut = await stage.step("a thief takes box-2: found out, new shards of the same key dealt among the other four, by themselves", async () => {
    await site.kill("box-2");
    return await until(site, "a re-shard round box-2", (key) => key.epoch > epoch && openBoxes(key).join() === "box-2");
  });
  await stage.step(`the key opens with the new shards of ${cut.holders.join(", ")}; they have destroyed the old ones, without which box-2's is worth nothing`, opens);
  await stage.step("box-2 is found again: it is shown what happened, destroys its old shard, and gets a new one", async () => {
    await site.startBox("box-2");
    await untilWhole(site);
  });

  const secret = new Uint8Array(randomBytes(32));
  await stage.use(asks.encrypt(secret), alice);
  say(`          ${await stage.step("memory of all processes of the site searched for a secret that was just encrypted", () => searchFor(stage, secret))}`);

  const { withoutEvidence, replayed } = await stage.step("the coordinator taken over, with its HSM, PIN, broker and certificates", () => takeOverAndLie(new Stage(site)));
  say(`          it asks for shards without evidence: five of five holders refuse, ${withoutEvidence}`);
  say(`          it replays evidence that alice gave for another request: five of five refuse, ${replayed}`);
  say("Next: npm run demo -- --scenario all · npm run demo -- --interactive · npm test · docs/try-it.md builds a site by hand");
}

/** Finds no copy of `secret` in the site, and finds it in a process that was given it; says how much was read. */
async function searchFor(stage: Stage, secret: Uint8Array): Promise<string> {
  let copies = 0;
  let megabytes = 0;
  const pids = processesOf(stage.site);
  for (const pid of pids) {
    const found = await scanMemory(pid, [secret]).catch((error: unknown) => {
      // An enclave that was ended meanwhile has no memory any more.
      if (isRunning(pid)) throw error;
      return { copies: 0, bytes: 0 };
    });
    copies += found.copies;
    megabytes += found.bytes / 2 ** 20;
  }
  const keeper = await Keeper.holding(secret);
  const control = await scanMemory(keeper.pid, [secret]);
  keeper.end();
  stage.expect(control.copies > 0, "the search does not find a secret where it is");
  stage.expect(copies === 0, `${copies} copies of the secret were found`);
  return `${pids.length} processes, ${Math.round(megabytes)} MiB: ${copies} copies (in a process that was given it: ${control.copies})`;
}
