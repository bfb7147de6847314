import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { HsmProcess, initialiseToken } from "../hsm/client.ts";
import { mostFrame, readCode } from "../protocol/invitation.ts";
import { systemClock } from "../runtime/clock.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { askLine } from "../runtime/lines.ts";
import { silentLog } from "../runtime/log.ts";
import { runMain } from "../runtime/main.ts";
import { Ownership, ownStore, ownToken, sayJson, type Token } from "../runtime/provision.ts";
import { systemRandom } from "../runtime/random.ts";
import { createStore, openStore } from "../store/level.ts";
import type { Store } from "../store/store.ts";
import { acceptAnswer, parseAnswer } from "./accept.ts";
import { readBoxConfig, type BoxConfig } from "./config.ts";
import { joinByCode } from "./join.ts";
import { identityKey, makeRequest } from "./request.ts";

/**
 * Joining by a file pair (design §6):  init.js request --config FILE --out REQUEST
 *                                      init.js accept ANSWER --config FILE [--authority KEY_OR_FINGERPRINT]
 * or over the network:                 init.js join --config FILE --at HOST:PORT, with the code on stdin
 */
function usage(message: string): ShardkeepError {
  return new ShardkeepError("USAGE", message, { remedy: "shardkeep box --help" });
}

const storeAt = (path: string) => ({ open: () => openStore(path), create: () => createStore(path), missing: "STORE_MISSING" });

function tokenOf({ hsm: config }: BoxConfig): Token<HsmProcess> {
  const { softhsmConf, pinFile } = config;
  return {
    initialise: softhsmConf === undefined ? undefined : () => {
      makeFolder(dirname(pinFile));
      return initialiseToken(config, { log: silentLog, tokenFolder: join(dirname(softhsmConf), "tokens") });
    },
    start: async () => {
      const hsm = new HsmProcess(config, { log: silentLog });
      await hsm.start();
      return hsm;
    },
    hasKeys: async (hsm) => await identityKey(hsm) !== undefined,
  };
}

/** Opens what the box owns, and closes it in any case. */
async function withBox(config: BoxConfig, ownership: Ownership, work: (hsm: HsmProcess, store: Store) => Promise<void>): Promise<void> {
  const hsm = await ownToken(ownership, tokenOf(config), sayJson);
  try {
    const store = await ownStore(ownership, storeAt(join(config.state, "store")), sayJson);
    await work(hsm, store).finally(() => store.close());
  } finally {
    await hsm.stop();
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ShardkeepError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path; is the stick in?" });
  }
}

await runMain("box join", async (args) => {
  const { positionals: [mode, file], values } = parseArgs({
    args: [...args], allowPositionals: true, options: { config: { type: "string" }, out: { type: "string" }, authority: { type: "string" }, at: { type: "string" } },
  });
  const config = readBoxConfig(args);
  const of = { site: config.site, name: config.box };
  if (mode === "request") {
    const { out } = values;
    if (out === undefined) throw usage("no file for the request was named: --out REQUEST");
    const ownership = new Ownership(config.state, of);
    await withBox(config, ownership, async (hsm, store) => {
      const request = await makeRequest(config, hsm, store, ownership, sayJson);
      writeDurably(resolve(out), `${JSON.stringify(request, null, 2)}\n`);
      sayJson("request", "changed", { file: resolve(out), box: config.box });
    });
  } else if (mode === "accept") {
    if (file === undefined) throw usage("no answer was named");
    const answer = parseAnswer(readText(file));
    const ownership = new Ownership(config.state, of);
    if (ownership.token === undefined) throw new ShardkeepError("NOT_REQUESTED", "this box has not asked to join yet", { remedy: "shardkeep box request --config FILE --out REQUEST" });
    await withBox(config, ownership, async (hsm, store) => {
      await acceptAnswer(config, hsm, store, answer, values.authority, sayJson);
      if (!ownership.complete) ownership.finish();
    });
  } else if (mode === "join") {
    const [, host, port] = /^(.+):([0-9]{1,5})$/.exec(values.at ?? "") ?? [];
    if (host === undefined) throw usage("where the coordinator listens was not named: --at HOST:PORT");
    // As text it stays until this process ends; joinByCode wipes what it makes of it. It is good once, and for an hour.
    const code = readCode(await text(process.stdin));
    const ownership = new Ownership(config.state, of);
    await withBox(config, ownership, async (hsm, store) => {
      const request = await makeRequest(config, hsm, store, ownership, sayJson);
      const answer = await joinByCode({
        ask: (line) => askLine(host, Number(port), line, mostFrame), clock: systemClock, random: systemRandom,
        onWaiting: () => { sayJson("request", "ok", { waiting: "people approve it" }); },
      }, code, request);
      await acceptAnswer(config, hsm, store, answer, answer.body.record.body.authority, sayJson);
      if (!ownership.complete) ownership.finish();
    });
  } else {
    throw usage(`${mode ?? "nothing"} is none of request, accept, join`);
  }
});
