import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pkcs11js from "pkcs11js";
import t, { type Test } from "tap";
import { HsmProcess, hsmConfig, initialiseToken, type HsmConfig } from "../../agent/hsm/client.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { hsmContract } from "./contract.ts";
import { entry, tokenFolder } from "./fixtures/token.ts";

// The contract on modules other than SoftHSM: NSS softoken where Debian's libnss3 is installed, and any
// other on an empty token that the environment names:
//   SHARDKEEP_TEST_PKCS11_MODULE=/path/module.so SHARDKEEP_TEST_PKCS11_TOKEN=label
//   SHARDKEEP_TEST_PKCS11_PIN_FILE=/path/pin [SHARDKEEP_TEST_PKCS11_PARAMETERS='connector=…']

async function run(t: Test, config: HsmConfig): Promise<void> {
  const hsm = new HsmProcess(config, { log: silentLog, entry, deadlineMs: 30_000 });
  t.teardown(() => hsm.stop());
  await hsm.start();
  t.comment(JSON.stringify(await hsm.info()));
  hsmContract(t, hsm);
}

function softoken(): string | undefined {
  const folders = readdirSync("/usr/lib").map((name) => join("/usr/lib", name));
  return ["/usr/lib", ...folders].map((folder) => join(folder, "libsoftokn3.so")).find((path) => existsSync(path));
}

void t.test("NSS softoken", async (t) => {
  const module = softoken();
  if (module === undefined) return t.pass("skipped", { skip: "NSS is not installed (apt install libnss3)" });
  const { folder, config: { pinFile } } = tokenFolder(t);
  const parameters = `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`;
  // A new database takes its first PIN from an officer without one.
  const pin = "a-pin-for-this-test";
  const nss = new pkcs11js.PKCS11();
  nss.load(module);
  nss.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK, libraryParameters: `${parameters} ` });
  const slot = nss.C_GetSlotList(true).find((slot) => nss.C_GetTokenInfo(slot).label.startsWith("NSS Certificate DB"))!;
  const session = nss.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  nss.C_Login(session, pkcs11js.CKU_SO, "");
  nss.C_InitPIN(session, pin);
  nss.C_Finalize();
  writeFileSync(pinFile, pin, { mode: 0o600 });
  const config = hsmConfig.parse({ module, token: "NSS Certificate DB", pinFile, parameters });
  await t.rejects(initialiseToken(config, { log: silentLog, entry }), { code: "TOKEN_EXISTS" });
  await t.rejects(initialiseToken({ ...config, token: "box-1" }, { log: silentLog, entry }), { code: "TOKEN_MISSING", message: /no slot/ });
  await run(t, config);
});

void t.test("the module that the environment names", async (t) => {
  const { SHARDKEEP_TEST_PKCS11_MODULE: module, SHARDKEEP_TEST_PKCS11_TOKEN: token, SHARDKEEP_TEST_PKCS11_PIN_FILE: pinFile, SHARDKEEP_TEST_PKCS11_PARAMETERS: parameters } = process.env;
  if (module === undefined) return t.pass("skipped", { skip: "SHARDKEEP_TEST_PKCS11_MODULE is not set" });
  await run(t, hsmConfig.parse({ module, token, pinFile, parameters }));
});
