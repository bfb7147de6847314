import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { hsmFolders, tokenFor, type FoundingHsm, type OwnedHsm } from "../hsm/client.ts";
import { mostFrame, readCode } from "../protocol/invitation.ts";
import type { BoxRequest } from "../protocol/joining.ts";
import { systemClock } from "../runtime/clock.ts";
import { writeDurably } from "../runtime/durable.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { askLine } from "../runtime/lines.ts";
import { isDryRun, runMain } from "../runtime/main.ts";
import { Ownership, ownStore, ownToken, type Token } from "../runtime/provision.ts";
import { systemRandom } from "../runtime/random.ts";
import { onStage } from "../runtime/rehearsal.ts";
import { inStep, requireRoomFor, sayJson, unwritable, type Say } from "../runtime/steps.ts";
import { sayUnsetClock } from "../runtime/unset-clock.ts";
import { createStore, openStore } from "../store/level.ts";
import type { Store } from "../store/store.ts";
import { acceptAnswer, parseAnswer, requireAddressee } from "./accept.ts";
import { readBoxConfig, type BoxConfig } from "./config.ts";
import { joinByCode } from "./join.ts";
import { identityKey, makeRequest } from "./request.ts";

/**
 * Joining by a file pair (design §6):  init.js request --config FILE --out REQUEST
 *                                      init.js accept ANSWER --config FILE [--authority KEY_OR_FINGERPRINT]
 * or over the network:                 init.js join --config FILE --at HOST:PORT, with the code on stdin
 * With --dry-run it says what it would do; then neither `--out`, `--at` nor the code is needed.
 */
function usage(message: string): ShardkeepError {
  return new ShardkeepError("USAGE", message, { remedy: "shardkeep box --help" });
}

const storeAt = (path: string) => ({ open: () => openStore(path), create: () => createStore(path), missing: "STORE_MISSING" });

/** Where a run works: at the box itself, or in a rehearsal of it. */
interface Stage {
  readonly config: BoxConfig;
  readonly token: Token<OwnedHsm>;
  readonly say: Say;
  readonly isDry: boolean;
}

interface Box extends Stage {
  readonly ownership: Ownership;
  readonly hsm: FoundingHsm;
  readonly store: Store;
}

/** Opens what the box owns, and closes it in any case. */
async function withBox(on: Stage, work: (box: Box) => Promise<void>, allow: (ownership: Ownership) => void = () => undefined): Promise<void> {
  const { config: { site, box, state }, token, say } = on;
  const ownership = await inStep(say, "state", () => {
    const found = new Ownership(state, { site, name: box });
    allow(found);
    return found;
  });
  const hsm = await ownToken(ownership, token, say);
  try {
    const store = await ownStore(ownership, storeAt(join(state, "store")), say);
    await work({ ...on, ownership, hsm, store }).finally(() => store.close());
  } finally {
    await hsm.stop();
  }
}

const hasKeys = async (hsm: FoundingHsm): Promise<boolean> => await identityKey(hsm) !== undefined;

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ShardkeepError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path; is the stick in?" });
  }
}

function writeRequest(path: string, request: BoxRequest): void {
  try {
    writeDurably(path, `${JSON.stringify(request, null, 2)}\n`);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

const requestOf = ({ config, hsm, store, ownership, say }: Box): Promise<BoxRequest> => makeRequest(config, hsm, store, ownership, say);

await runMain("box join", async (args) => {
  const { positionals: [mode, file], values } = parseArgs({
    args: [...args], allowPositionals: true,
    options: { config: { type: "string" }, out: { type: "string" }, authority: { type: "string" }, at: { type: "string" }, "dry-run": { type: "boolean" } },
  });
  const config = await inStep(sayJson, "configuration", () => readBoxConfig(args));
  sayUnsetClock(sayJson, systemClock);
  const isDry = isDryRun(args);
  const { hsm: token, state } = config;
  const stage = (work: (on: Stage) => Promise<void>): Promise<void> => onStage(isDry, state, hsmFolders(token), sayJson, (on) =>
    work({ config: { ...config, state: on.state }, token: tokenFor(token, on.scratch, hasKeys), say: on.say, isDry }));
  if (mode === "request") {
    const { out } = values;
    if (out === undefined) throw usage("no file for the request was named: --out REQUEST");
    // The state folder is made by this very run, which looks at its room itself.
    if (dirname(resolve(out)) !== resolve(config.state)) await inStep(sayJson, "request", () => { requireRoomFor(resolve(out)); });
    await stage((on) => withBox(on, async (box) => {
      const request = await requestOf(box);
      if (!isDry) await inStep(box.say, "request", () => { writeRequest(resolve(out), request); });
      box.say("request", "changed", { file: resolve(out), box: config.box });
    }));
  } else if (mode === "accept") {
    if (file === undefined) throw usage("no answer was named");
    const answer = await inStep(sayJson, "answer", () => {
      const read = parseAnswer(readText(file));
      requireAddressee(config, read);
      return read;
    });
    await stage((on) => withBox(on, async ({ hsm, store, ownership, say, config: own }) => {
      await acceptAnswer(own, hsm, store, answer, values.authority, say);
      if (!ownership.complete) ownership.finish();
    }, requireRequested));
  } else if (mode === "join" && isDry) {
    await stage((on) => withBox(on, async (box) => {
      await requestOf(box);
      // What is not asked for cannot be answered: nobody's code is spent.
      box.say("box", box.ownership.complete ? "ok" : "changed", { box: config.box });
    }));
  } else if (mode === "join") {
    const [, host, port] = /^(.+):([0-9]{1,5})$/.exec(values.at ?? "") ?? [];
    if (host === undefined) throw usage("where the coordinator listens was not named: --at HOST:PORT");
    // As text it stays until this process ends; joinByCode wipes what it makes of it. It is good once, and for an hour.
    const code = await inStep(sayJson, "code", async () => readCode(await text(process.stdin)));
    await stage((on) => withBox(on, async (box) => {
      const { hsm, store, ownership, say } = box;
      const request = await requestOf(box);
      const answer = await inStep(say, "request", () => joinByCode({
        ask: (line) => askLine(host, Number(port), line, mostFrame), clock: systemClock, random: systemRandom,
        onWaiting: () => { say("request", "ok", { waiting: "people approve it" }); },
      }, code, request));
      await acceptAnswer(config, hsm, store, answer, answer.body.record.body.authority, say);
      if (!ownership.complete) ownership.finish();
    }));
  } else {
    throw usage(`${mode ?? "nothing"} is none of request, accept, join`);
  }
});

/** Throws NOT_REQUESTED. */
function requireRequested({ token }: Ownership): void {
  if (token === undefined) throw new ShardkeepError("NOT_REQUESTED", "this box has not asked to join yet", { remedy: "shardkeep box request --config FILE --out REQUEST" });
}
