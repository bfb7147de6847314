import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { HsmProcess, initialiseToken } from "../hsm/client.ts";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { silentLog } from "../runtime/log.ts";
import { runMain } from "../runtime/main.ts";
import { Ownership, ownStore, ownToken, sayJson, type Token } from "../runtime/provision.ts";
import { createStore, openStore } from "../store/level.ts";
import type { Store } from "../store/store.ts";
import { acceptAnswer, parseAnswer } from "./accept.ts";
import { readBoxConfig, type BoxConfig } from "./config.ts";
import { identityKey, makeRequest } from "./request.ts";

/**
 * Joining by a file pair (design §6):  init.js request --config FILE --out REQUEST
 *                                      init.js accept ANSWER --config FILE [--authority KEY_OR_FINGERPRINT]
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
    args: [...args], allowPositionals: true, options: { config: { type: "string" }, out: { type: "string" }, authority: { type: "string" } },
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
  } else {
    throw usage(`${mode ?? "nothing"} is neither request nor accept`);
  }
});
