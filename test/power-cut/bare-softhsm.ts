import pkcs11js from "pkcs11js";
import { readFileSync } from "node:fs";
import { trimmed, type Session } from "../../agent/hsm/device.ts";
import { destroyAll, findAll, generatePair } from "../../agent/hsm/objects.ts";

/**
 * SoftHSM alone, as most programs use it: a key is made or destroyed, and nobody syncs anything. The control of
 * the power cut: where even this were durable, the cut would show nothing.
 */
const [what = "", module = "", token = "", pinFile = "", label = ""] = process.argv.slice(2);
const api = new pkcs11js.PKCS11();
api.load(module);
api.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
const slot = api.C_GetSlotList(true).find((one) => trimmed(api.C_GetTokenInfo(one).label) === token);
if (slot === undefined) throw new Error(`there is no token ${token}`);
const handle = api.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
api.C_Login(handle, pkcs11js.CKU_USER, readFileSync(pinFile, "utf8").trimEnd());
const session: Session = { api, handle, found: new Map() };
if (what === "make") generatePair(session, label, 0x5300, "derive");
if (what === "destroy") destroyAll(session, label);
process.stdout.write(`${findAll(session, "private", label).length}\n`);
api.C_Finalize();
