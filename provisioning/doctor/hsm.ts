import { accessSync, constants, existsSync, statSync } from "node:fs";
import { lookAtTokens, type HsmConfig, type TokenSeen } from "../../agent/hsm/client.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { Concern, Fault, Skipped, type Check } from "./check.ts";

/** CK_TOKEN_INFO.flags (PKCS#11 v2.40 §3.2): what a token says of its user PIN without a try. */
const pinFlags = { countLow: 0x10000, finalTry: 0x20000, locked: 0x40000 } as const;

/** Only a look: a login may cost the last try of a PIN. */
export function judgeTokens(tokens: readonly TokenSeen[], { token, serial, pinFile }: Pick<HsmConfig, "token" | "serial" | "pinFile">): string {
  const ours = tokens.filter((one) => one.label === token && (serial === undefined || one.serial === serial));
  const name = `${token}${serial === undefined ? "" : ` with serial number ${serial}`}`;
  const [only] = ours;
  if (only === undefined) {
    const others = tokens.map(({ label }) => label).join(", ");
    throw new ShardkeepError("TOKEN_MISSING", `the module shows no token ${name}; it shows ${others === "" ? "none" : others}`, { remedy: "plug it in; or mend `token` and `serial`; a token of SoftHSM is made by site init and box request" });
  }
  if (ours.length > 1) throw new ShardkeepError("TOKEN_AMBIGUOUS", `${ours.length} tokens are called ${name}`, { remedy: "add the serial number to the configuration" });
  if ((only.flags & pinFlags.locked) !== 0) throw new Fault("PIN_LOCKED", `${name} has locked its user PIN: too many wrong ones`, { remedy: "unlock it with the token's own tools and the security officer's PIN; if nobody has that, this box is lost: retire it" });
  if ((only.flags & pinFlags.finalTry) !== 0) throw new Concern("PIN_LAST_TRY", `${name} takes one more PIN, and locks if it is wrong`, { remedy: `do not start the agent before ${pinFile} is certainly right` });
  if ((only.flags & pinFlags.countLow) !== 0) throw new Concern("PIN_LAST_TRY", `${name} was given a wrong PIN and no right one since`, { remedy: `check ${pinFile} before the agent is started: some tokens lock at the third` });
  return `token ${name}, serial number ${only.serial}`;
}

export function judgePinFile(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  const unreadable = (why: string): ShardkeepError => new ShardkeepError("PIN_UNREADABLE", `${path} ${why}`, { remedy: "check pinFile in the configuration, and the file's owner; restore it from the backup" });
  if (found?.isFile() !== true) throw unreadable("is not there");
  if ((found.mode & 0o077) !== 0) throw new Fault("PIN_EXPOSED", `others than its owner can read ${path} (mode ${(found.mode & 0o777).toString(8)})`, { remedy: `chmod 600 ${path}, and think who may have read it` });
  try {
    accessSync(path, constants.R_OK);
  } catch {
    throw unreadable("cannot be read by this user");
  }
  if (found.size === 0) throw unreadable("is empty");
  return `${path}, mode ${(found.mode & 0o777).toString(8)}`;
}

export function judgeModule(path: string): string {
  // A bare name is the loader's to find: looking at the token tells.
  if (path.includes("/") && !existsSync(path)) throw new ShardkeepError("HSM_CONFIG_INVALID", `there is no PKCS#11 module ${path}`, { remedy: "apt install softhsm2, or mend `module` in the configuration" });
  return path;
}

export function hsmChecks(hsm: HsmConfig, name: string, running: boolean): Check[] {
  const sealed = `/etc/credstore.encrypted/shardkeep-${name}.pin`;
  return [
    { name: "module", run: () => judgeModule(hsm.module) },
    {
      name: "pin file",
      run: () => {
        if (!existsSync(hsm.pinFile) && existsSync(sealed)) throw new Skipped(`it is sealed as ${sealed}: the unit opens it at its start (docs/field-guide.md)`);
        return judgePinFile(hsm.pinFile);
      },
    },
    {
      name: "token", deadlineMs: 15_000,
      run: async () => {
        if (running) throw new Skipped("what runs here has it: a token of SoftHSM bears one owner");
        judgeModule(hsm.module);
        return judgeTokens(await lookAtTokens(hsm, { log: silentLog }), hsm);
      },
    },
  ];
}
