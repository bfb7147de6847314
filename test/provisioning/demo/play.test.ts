import t, { type Test } from "tap";
import { notPlayed, playScenario } from "../../../provisioning/demo/play.ts";
import { DemoError } from "../../../provisioning/demo/process.ts";
import { DemoSite } from "../../../provisioning/demo/site.ts";
import { endOf, Stage, type Scenario } from "../../../provisioning/demo/stage.ts";
import { ShardkeepError } from "../../../agent/runtime/errors.ts";

/** A site that was never built: these scenarios do not touch it. */
function emptySite(t: Test): DemoSite {
  const site = new DemoSite("usual");
  t.teardown(() => site.end(false));
  return site;
}

const scenario = (expected: string | null, play: Scenario["play"]): Scenario => ({ name: "probe", tells: "", expected, leaves: "nothing", play });
const refusal = (code: string): Promise<never> => Promise.reject(new ShardkeepError(code, "no"));

void t.test("a scenario is right only if it ends as it must", async (t) => {
  const site = emptySite(t);
  const good = scenario("NOT_PERMITTED", (stage) => stage.step("asked", () => endOf(refusal("NOT_PERMITTED"))));
  t.match(await playScenario(site, good), { name: "probe", ok: true, expected: "NOT_PERMITTED", error: "NOT_PERMITTED", steps: [{ name: "asked", ms: Number }] });
  t.match(await playScenario(site, scenario(null, () => endOf(refusal("TIMED_OUT")))), { ok: false, error: "TIMED_OUT", failed: "it ended with TIMED_OUT, not with null" });
  t.match(await playScenario(site, scenario("NOT_PERMITTED", () => Promise.resolve(null))), { ok: false, error: null, failed: "it ended with null, not with NOT_PERMITTED" });
});

void t.test("a failed expectation is named in words, with its step; so is our own bug", async (t) => {
  const site = emptySite(t);
  const fails = scenario("NOT_PERMITTED", (stage) => stage.step("looked at", () => {
    stage.expect(false, "a shard was released");
    return Promise.resolve("NOT_PERMITTED");
  }));
  t.match(await playScenario(site, fails), { ok: false, error: "DEMO_EXPECTATION_FAILED", failed: "looked at: a shard was released" });
  t.match(await playScenario(site, scenario(null, () => endOf(Promise.reject(new TypeError("oops"))))), { ok: false, error: "INTERNAL", failed: "start: oops" });
  t.match(await playScenario(site, scenario("DEMO_STEP_TIMEOUT", () => endOf(Promise.reject(new DemoError("DEMO_STEP_TIMEOUT", "late"))))), { ok: false }, "the demo's own failures are never what was wanted");
});

void t.test("over its deadline it has failed, in the step under way", async (t) => {
  const stuck = scenario(null, async (stage) => {
    await stage.step("first", () => Promise.resolve());
    return await stage.step("second", () => new Promise<null>(() => undefined));
  });
  t.match(await playScenario(emptySite(t), { ...stuck, deadlineMs: 50 }), { ok: false, error: "DEMO_STEP_TIMEOUT", steps: [{ name: "first" }], failed: "second: probe: not ended after 0.05 s" });
});

void t.test("without a site every wanted scenario has failed", async (t) => {
  const building = new Stage(emptySite(t));
  await building.step("tokens", () => Promise.resolve());
  const wanted = [scenario(null, () => Promise.resolve(null)), scenario("NOT_PERMITTED", () => Promise.resolve(null))];
  const one = { name: "probe", ok: false, error: "DEMO_PROCESS_FAILED", steps: building.steps, failed: "tokens: no disk" };
  t.strictSame(notPlayed(building, wanted, new DemoError("DEMO_PROCESS_FAILED", "no disk")), [{ ...one, expected: null }, { ...one, expected: "NOT_PERMITTED" }]);
});
