import t from "tap";
import { demo, panelScenarios, playScenarios, reshardScenarios, slowScenarios, usualScenarios } from "../support/demo.ts";

void t.test("the scenarios of use and attack", (t) => playScenarios(t, usualScenarios));

void t.test("an unknown scenario is a usage error that names all there are", async (t) => {
  const failed = await demo("--scenario", "use,nonsense").then(() => null, (error: unknown) => error as { code: number; stderr: string });
  t.equal(failed?.code, 64);
  const [, names = ""] = /DEMO_USAGE.*nonsense[^]*one of: (.*), all/.exec(failed?.stderr ?? "") ?? [];
  t.strictSame(names.split(", ").sort(), [...usualScenarios, ...reshardScenarios, ...panelScenarios, ...slowScenarios].sort());
});
