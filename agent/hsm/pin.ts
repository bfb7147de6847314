import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { HsmError } from "./errors.ts";

/** What a unit calls the PIN among its credentials (systemd.exec(5), LoadCredentialEncrypted=). */
const credentialName = "shardkeep-pin";

/** The folder of a unit's credentials, as systemd names it to the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the PIN is: in the unit's credential if it was given one, else in its file. */
export function pinPath(pinFile: string, env: Environment): string {
  const folder = env["CREDENTIALS_DIRECTORY"];
  const credential = folder === undefined ? undefined : join(folder, credentialName);
  return credential !== undefined && existsSync(credential) ? credential : pinFile;
}

/** The PIN; a string, since the module's interface takes one. Throws PIN_UNREADABLE, PIN_EXPOSED. */
export function readPin(pinFile: string, env: Environment): string {
  const path = pinPath(pinFile, env);
  let mode: number;
  let pin: string;
  try {
    mode = statSync(path).mode;
    pin = readFileSync(path, "utf8").trimEnd();
  } catch (cause) {
    throw new HsmError("PIN_UNREADABLE", `cannot read the PIN file ${path}`, { cause, remedy: "check pinFile in the configuration and the file's owner" });
  }
  // A credential's group bits are the mask of the access list by which systemd lets just this user read it.
  if ((mode & (path === pinFile ? 0o077 : 0o007)) !== 0) {
    throw new HsmError("PIN_EXPOSED", `others can read the PIN file ${path}: it has mode ${(mode & 0o777).toString(8)}`, { remedy: `chmod 600 ${path}, and think about who may have read it` });
  }
  return pin;
}
