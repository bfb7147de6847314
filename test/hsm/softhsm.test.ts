import t from "tap";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { hsmContract } from "./contract.ts";
import { entry, freshHsm, softhsm } from "./fixtures/token.ts";

if (softhsm === undefined) {
  t.pass("skipped: SoftHSM is not installed (apt install softhsm2)", { skip: "no SoftHSM" });
} else {
  const { hsm, config } = await freshHsm(t);
  const info = await hsm.info();
  t.match(info, { manufacturer: "SoftHSM", label: "box-1", backing: "software", serial: /^[0-9a-f]{16}$/ });
  void t.test("a second owner of the token cannot start", async (t) => {
    const second = new HsmProcess(config, { log: silentLog, entry });
    await t.rejects(second.start(), { code: "ALREADY_OWNED", message: /owner\.lock/ });
  });
  hsmContract(t, hsm);
}
