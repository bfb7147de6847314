import { readdirSync, rmSync, writeFileSync } from "node:fs";
import t from "tap";
import { resetBox } from "../../provisioning/machine/reset.ts";
import { box } from "./backup/support.ts";

const nobody = (): void => undefined;

void t.test("nothing is destroyed before all that can be refused was", async (t) => {
  const { at, of } = await box(t);
  const before = readdirSync(at("box-1"));
  const untouched = (why: string): void => { t.same(readdirSync(at("box-1")), before, why); };
  await t.rejects(resetBox(of, false, nobody), { code: "STATE_DAMAGED", message: /owner\.json/ });
  untouched("an owner that nobody can read");
  writeFileSync(at("box-1", "owner.json"), JSON.stringify({ site: "plant", name: "box-1", token: "0123456789abcdef", complete: true }));
  await t.rejects(resetBox(of, false, nobody), { code: "HSM_CONFIG_INVALID" });
  untouched("a module that cannot be loaded");
  rmSync(at("box-1", "tokens"), { recursive: true });
  before.splice(before.indexOf("tokens"), 1);
  await t.rejects(resetBox(of, false, nobody), { code: "SERIAL_OPEN_FAILED", remedy: /connect this box's sensor[^]*sensor\.json/ });
  untouched("a sensor that is not there: without its pairing it is dead");

  rmSync(at("box-1", "sensor.json"));
  const steps: string[] = [];
  await resetBox(of, false, ({ step, state }) => steps.push(`${step} ${state}`));
  t.same(steps, ["sensor ok", "keys ok", "token files ok", "pin changed", "state changed"]);
  t.same(readdirSync(at(".")), ["box.yaml"]);
  await resetBox(of, false, ({ state }) => { t.equal(state, "ok"); });
});
