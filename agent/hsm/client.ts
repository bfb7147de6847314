import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { silentLog } from "../runtime/log.ts";
import type { Token } from "../runtime/provision.ts";
import type { Caller } from "../runtime/supervisor.ts";
import { Supervised } from "../runtime/supervisor.ts";
import type { Log } from "../runtime/log.ts";
import { hsmCalls, type HsmCalls } from "./calls.ts";
import { hsmConfig, hsmPaths, type HsmConfig } from "./config.ts";
import type { DeviceInfo, TokenSeen } from "./device.ts";
import type { Hsm } from "./hsm.ts";
import { rehearsed, type OwnedHsm } from "./rehearsed.ts";
import { copyTokens, prepareDirectory, tokenDirectory } from "./softhsm.ts";

export { hsmConfig, hsmFolders, hsmPaths, type HsmConfig } from "./config.ts";
export type { TokenSeen } from "./device.ts";
export type { FoundingHsm, OwnedHsm } from "./rehearsed.ts";
export { signerOf } from "./signer.ts";
export { configurationFor, tokenDirectory } from "./softhsm.ts";
export type { BatchShard, DealTo, DealtBox, DealtPieces, Hsm, StoredShard } from "./hsm.ts";

export interface HsmOptions {
  readonly log: Log;
  /** A call without an answer after so many ms: the process is killed and started again. Default 5000. */
  readonly deadlineMs?: number;
  /** The compiled main file; by default the one beside this file. */
  readonly entry?: URL;
}

/**
 * The process that alone owns the PKCS#11 module, and the typed way to it. A hung or crashed one is
 * killed, started and logged in again; whoever waited gets PROCESS_HUNG or PROCESS_ENDED.
 */
export class HsmProcess implements Hsm {
  readonly #process: Supervised<HsmCalls>;
  readonly #call: Caller<HsmCalls>;

  constructor(config: HsmConfig, options: HsmOptions) {
    this.#process = supervised(config, options);
    this.#call = this.#process.call;
  }

  /** Starts the process and logs in. Rejects with ALREADY_OWNED, PIN_REFUSED, TOKEN_MISSING …; then nothing runs. */
  async start(): Promise<void> {
    try {
      await this.#process.start();
      await this.info();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** How many times the process had to be started again. */
  get restarts(): number {
    return this.#process.restarts;
  }

  readonly info: Hsm["info"] = () => this.#call("info", {});
  readonly reopen: Hsm["reopen"] = () => this.#call("reopen", {});
  readonly createKey: Hsm["createKey"] = (role) => this.#call("createKey", { role });
  readonly publicKey: Hsm["publicKey"] = (role) => this.#call("publicKey", { role });
  readonly sign: Hsm["sign"] = (role, message) => this.#call("sign", { role, message });
  readonly random: Hsm["random"] = (length) => this.#call("random", { length });
  readonly selfTest: Hsm["selfTest"] = () => this.#call("selfTest", {});
  readonly createChallengeSecret: Hsm["createChallengeSecret"] = (args) => this.#call("createChallengeSecret", args);
  readonly acceptChallengeSecret: Hsm["acceptChallengeSecret"] = (args) => this.#call("acceptChallengeSecret", args);
  readonly removeChallengeSecret: Hsm["removeChallengeSecret"] = (args) => this.#call("removeChallengeSecret", args);
  readonly mac: Hsm["mac"] = (args) => this.#call("mac", args);
  readonly verifyMac: Hsm["verifyMac"] = (args) => this.#call("verifyMac", args);
  readonly createSealKey: Hsm["createSealKey"] = (args) => this.#call("createSealKey", args);
  readonly sealKeys: Hsm["sealKeys"] = () => this.#call("sealKeys", {});
  readonly destroySealKey: Hsm["destroySealKey"] = (args) => this.#call("destroySealKey", args);
  readonly createVault: Hsm["createVault"] = (args) => this.#call("createVault", args);
  readonly openReceiving: Hsm["openReceiving"] = (args) => this.#call("openReceiving", args);
  readonly closeReceiving: Hsm["closeReceiving"] = (args) => this.#call("closeReceiving", args);
  readonly receivePiece: Hsm["receivePiece"] = (args) => this.#call("receivePiece", args);
  readonly checkValue: Hsm["checkValue"] = (args) => this.#call("checkValue", args);
  readonly commitPiece: Hsm["commitPiece"] = (args) => this.#call("commitPiece", args);
  readonly checkShards: Hsm["checkShards"] = (args) => this.#call("checkShards", args);
  readonly releaseShard: Hsm["releaseShard"] = (args) => this.#call("releaseShard", args);
  readonly resealShards: Hsm["resealShards"] = (args) => this.#call("resealShards", { ...args, shards: [...args.shards] });
  readonly dealShards: Hsm["dealShards"] = (args) => this.#call("dealShards", args);
  readonly revealSeal: Hsm["revealSeal"] = (args) => this.#call("revealSeal", args);
  readonly closeDealing: Hsm["closeDealing"] = (args) => this.#call("closeDealing", args);
  readonly receiveDealt: Hsm["receiveDealt"] = (args) => this.#call("receiveDealt", args);
  readonly holderCheck: Hsm["holderCheck"] = (args) => this.#call("holderCheck", args);
  readonly witnessCheck: Hsm["witnessCheck"] = (args) => this.#call("witnessCheck", args);
  readonly commitDealt: Hsm["commitDealt"] = (args) => this.#call("commitDealt", args);
}

/**
 * Provisioning: makes the token that `config` names, with a random PIN written to its PIN file. For
 * SoftHSM, `tokenFolder` is where its files go; configuration and folder are made if there are none.
 * Rejects with TOKEN_EXISTS and changes nothing if there is such a token.
 */
export async function initialiseToken(config: HsmConfig, options: HsmOptions & { readonly tokenFolder?: string }): Promise<DeviceInfo> {
  if (config.softhsmConf !== undefined && options.tokenFolder !== undefined) prepareDirectory(resolve(config.softhsmConf), resolve(options.tokenFolder));
  const child = supervised(config, options);
  try {
    await child.start();
    return await child.call("createToken", {});
  } finally {
    await child.stop();
  }
}

/**
 * The initialised tokens that the module shows, without a login. Rejects with HSM_CONFIG_INVALID, ALREADY_OWNED,
 * TOKEN_MISSING; nothing is changed.
 */
export async function lookAtTokens(config: HsmConfig, options: HsmOptions): Promise<readonly TokenSeen[]> {
  const child = supervised(config, options);
  try {
    await child.start();
    return await child.call("tokens", {});
  } finally {
    await child.stop();
  }
}

async function started(config: HsmConfig): Promise<HsmProcess> {
  const hsm = new HsmProcess(config, { log: silentLog });
  await hsm.start();
  return hsm;
}

/** The token of a box or a coordinator that is being made; in a rehearsal, which has a `scratch` folder, a stand-in of it. */
export function tokenFor(config: HsmConfig, scratch: string | null, hasKeys: Token<OwnedHsm>["hasKeys"]): Token<OwnedHsm> {
  return scratch === null ? tokenToOwn(config, hasKeys) : tokenToRehearse(config, scratch, hasKeys);
}

/** Software makes the tokens of SoftHSM alone. */
function tokenToOwn(config: HsmConfig, hasKeys: Token<OwnedHsm>["hasKeys"]): Token<OwnedHsm> {
  const { softhsmConf } = config;
  return {
    initialise: softhsmConf === undefined ? undefined : () => initialiseToken(config, { log: silentLog, tokenFolder: join(dirname(softhsmConf), "tokens") }),
    start: () => started(config),
    hasKeys,
  };
}

/**
 * For a rehearsal: a device is logged in to and read. SoftHSM writes its files anew at every login
 * (hardware/pkcs11.md §1.4), so it works on a copy in `scratch`, where all is real but in place.
 */
function tokenToRehearse(config: HsmConfig, scratch: string, hasKeys: Token<OwnedHsm>["hasKeys"]): Token<OwnedHsm> {
  const { softhsmConf, pinFile } = config;
  if (softhsmConf === undefined) return { initialise: undefined, start: async () => rehearsed(await started(config)), hasKeys };
  const copy = { ...config, softhsmConf: join(scratch, "softhsm2.conf"), pinFile: existsSync(pinFile) ? pinFile : join(scratch, "pin") };
  const { initialise, start } = tokenToOwn(copy, hasKeys);
  let copied: Promise<void> | undefined;
  const prepared = (): Promise<void> => copied ??= (async () => {
    // Whoever owns it would write while it is copied; a look at a token without a lock would leave one.
    if (existsSync(softhsmConf) && existsSync(ownerLock(config))) await lookAtTokens(config, { log: silentLog });
    copyTokens(softhsmConf, copy.softhsmConf, join(scratch, "tokens"));
  })();
  return { initialise: () => prepared().then(initialise), start: () => prepared().then(start), hasKeys };
}

/** Ends a box's token: every key of ours in it is destroyed, proven. Gives how many objects there were. Rejects with KEY_NOT_DESTROYED and what a login says. */
export async function destroyKeys(config: HsmConfig, options: HsmOptions): Promise<number> {
  const child = supervised(config, options);
  try {
    await child.start();
    return await child.call("destroyEverything", {}, { deadlineMs: 30_000 });
  } finally {
    await child.stop();
  }
}

/** Held (flock) for the life of whoever owns this token. Throws HSM_CONFIG_INVALID. */
export function ownerLock({ softhsmConf, pinFile }: HsmConfig): string {
  // A second owner of a SoftHSM token crashes or damages it (§0), so the lock goes with the token's folder.
  return softhsmConf === undefined ? `${pinFile}.lock` : join(tokenDirectory(softhsmConf), "owner.lock");
}

function supervised(given: HsmConfig, { log, deadlineMs, entry }: HsmOptions): Supervised<HsmCalls> {
  // The child works in another folder.
  const config = hsmPaths(hsmConfig.parse(given), (path) => resolve(path));
  return new Supervised({
    name: "hsm",
    entry: entry ?? new URL("./main.js", import.meta.url),
    args: [JSON.stringify(config)],
    calls: hsmCalls,
    lockFile: ownerLock(config),
    env: { ...credentials(), ...(config.softhsmConf === undefined ? {} : { SOFTHSM2_CONF: config.softhsmConf }) },
    noCore: true,
    log,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
}

/** Where systemd has put the PIN, if it was given to our unit. */
function credentials(): Readonly<Record<string, string>> {
  const folder = process.env["CREDENTIALS_DIRECTORY"];
  return folder === undefined ? {} : { CREDENTIALS_DIRECTORY: folder };
}
