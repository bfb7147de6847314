import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import pkcs11js, { type PKCS11 } from "pkcs11js";
import { makeFolder, writeDurably } from "../runtime/durable.ts";
import { utf8 } from "../runtime/encoding.ts";
import type { HsmConfig } from "./config.ts";
import { trimmed, type Device, type DeviceInfo, type Session } from "./device.ts";
import { HsmError } from "./errors.ts";
import { findAll, labels, type ObjectClass } from "./objects.ts";
import { pinPath, readPin } from "./pin.ts";
import { makeAside } from "./softhsm.ts";

const pinBytes = 24;

/**
 * Makes a SoftHSM token with a random PIN, in provisioning only. The PIN goes straight into its file:
 * softhsm2-util would take it in argv. The security officer's PIN is thrown away: a token whose PIN is
 * lost is a lost box, to be re-sharded round, not reset. Throws TOKEN_EXISTS for a token that is there.
 */
export function createToken(config: HsmConfig, device: Device): DeviceInfo {
  const { softhsmConf, token } = config;
  const api = device.initialised();
  if (api.C_GetSlotList(true).some((slot) => trimmed(api.C_GetTokenInfo(slot).label) === token)) {
    throw new HsmError("TOKEN_EXISTS", `there is a token ${token} already`, { remedy: "use it as it is; a token is never initialised twice" });
  }
  if (softhsmConf === undefined) {
    initialise(config, api);
    api.C_Finalize();
    return device.info;
  }
  api.C_Finalize();
  makeAside(softhsmConf, (copy) => {
    // SoftHSM looks for its configuration at each initialisation.
    process.env["SOFTHSM2_CONF"] = copy;
    try {
      initialise(config, device.initialised());
      api.C_Finalize();
    } finally {
      process.env["SOFTHSM2_CONF"] = softhsmConf;
    }
  });
  return device.info;
}

/** The first slot without a token gets one. */
function initialise({ token, pinFile }: HsmConfig, api: PKCS11): void {
  const free = api.C_GetSlotList(true).find((slot) => (api.C_GetTokenInfo(slot).flags & pkcs11js.CKF_TOKEN_INITIALIZED) === 0);
  if (free === undefined) throw new HsmError("TOKEN_MISSING", "the module offers no slot for a new token");
  // The PIN is on disk before the token exists: killed in between, the next try finds and uses it.
  if (!existsSync(pinPath(pinFile, process.env))) {
    makeFolder(dirname(pinFile));
    writeDurably(pinFile, utf8(randomPin()));
  }
  const pin = readPin(pinFile, process.env);
  const officer = randomPin();
  api.C_InitToken(free, officer, token);
  const session = api.C_OpenSession(free, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  api.C_Login(session, pkcs11js.CKU_SO, officer);
  api.C_InitPIN(session, pin);
  api.C_Logout(session);
}

/**
 * Destroys every key of ours in the token and proves by a re-initialisation that none is left; gives how many objects
 * there were. Others' objects, with labels of their own, stay. Throws KEY_NOT_DESTROYED.
 */
export function destroyEverything(device: Device): number {
  const classes = ["private", "secret", "public"] as const;
  const ours = (session: Session): [ObjectClass, string][] =>
    classes.flatMap((kind) => labels(session, kind).filter((label) => label.startsWith("sk:")).map((label): [ObjectClass, string] => [kind, label]));
  // Private ones first: cut off in the middle, what is left opens nothing.
  const count = device.once("destroying all keys", (session) => {
    const found = ours(session);
    for (const [kind, label] of found) for (const object of findAll(session, kind, label)) session.api.C_DestroyObject(session.handle, object);
    return found.length;
  });
  device.reopen();
  const [left] = device.once("looking for keys that are left", ours);
  if (left !== undefined) throw new HsmError("KEY_NOT_DESTROYED", `the HSM still holds ${left.join(" key ")}`, { remedy: "check the token's disk, then run it again; or destroy the token by its own tools" });
  device.sync();
  return count;
}

function randomPin(): string {
  return randomBytes(pinBytes).toString("hex");
}
