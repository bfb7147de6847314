import t from "tap";
import type { Progress } from "../../agent/client/use.ts";
import { InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rule = { key: "payroll", resource: "**", operations: ["create"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const rules = [rule, { ...rule, operations: ["encrypt"], confirm: "button" }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }, { id: "eve", roles: ["auditor"], boxes: ["box-1"] }];

async function asked(options: Partial<SiteOptions> = {}) {
  const site = await InProcessSite.start({ people, rules, panels: ["box-1", "box-2"], config: { mostRefusedFingers: 2 }, ...options });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const reasons: string[] = [];
  const onProgress = (progress: Progress): void => { if (progress.state === "refused-finger") reasons.push(progress.reason); };
  const ask = () => use(site, "cli", { operation: "encrypt" }, onProgress);
  const press = async (box = "box-1"): Promise<void> => {
    site.panels.get(box)!.press(true);
    await site.clock.advance(100);
    site.panels.get(box)!.press(false);
    await site.clock.advance(100);
  };
  const waits = (): Promise<void> => site.clock.until(() => site.box("box-1").sensor.isWaiting, 10_000, "a prompt");
  return { site, ask, press, waits, reasons };
}

void t.test("finger and button, in either order: permitted, and the person is told what is asked", async (t) => {
  const { site, ask, press, waits, reasons } = await asked();
  const first = ask();
  await touch(site, "box-1", "alice");
  await site.clock.advance(9000);
  await press();
  await finish(site, first);
  t.ok(site.box("box-1").shown.includes("to be confirmed with the button of this box"));
  const second = ask();
  await waits();
  await press();
  await touch(site, "box-1", "alice");
  await finish(site, second);
  t.strictSame(reasons, []);
});

void t.test("without a press that is for this prompt and this finger at this box: refused", async (t) => {
  const { site, ask, press, waits, reasons } = await asked();
  await press();
  const refused = ask();
  await touch(site, "box-1", "alice");
  await press("box-2");
  await site.clock.advance(11_000);
  t.strictSame(reasons, ["not-confirmed"], "pressed before, or elsewhere");
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, refused), { code: "NOT_PERMITTED", message: /it was not pressed/ });
  t.strictSame(reasons.splice(0), ["not-confirmed", "not-confirmed"]);

  const other = ask();
  await waits();
  await press();
  await touch(site, "box-1", "eve");
  await waits();
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, other), { code: "NOT_PERMITTED" });
  t.strictSame(reasons.splice(0), ["not-permitted", "not-confirmed"], "pressed with a finger that was refused");

  const unknown = ask();
  await waits();
  await press();
  await touch(site, "box-1", "stranger");
  await waits();
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, unknown), { code: "INVALID_BIOMETRICS" });
  t.strictSame(reasons.splice(0), ["unknown-finger", "not-confirmed"]);

  site.panels.get("box-1")!.press(true);
  const held = ask();
  await waits();
  site.panels.get("box-1")!.plug(false);
  site.panels.get("box-1")!.plug(true);
  await touch(site, "box-1", "alice");
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, held), { code: "NOT_PERMITTED" }, "held down before");
});

void t.test("a box without a panel, or whose panel is away, cannot confirm: everybody is told so, at once", async (t) => {
  for (const panels of [[], ["box-1"]]) {
    const { site, ask, reasons } = await asked({ panels });
    site.panels.get("box-1")?.plug(false);
    const refused = ask();
    await touch(site, "box-1", "alice");
    t.ok(site.box("box-1").shown.some((line) => /the panel of this box is not there/.test(line)));
    await site.clock.advance(100);
    t.strictSame(reasons, ["no-button"], "nobody waits ten seconds for a button that is not there");
    await touch(site, "box-1", "alice");
    await t.rejects(finish(site, refused), { code: "NOT_PERMITTED", message: /the panel of the box that was touched is not there/ });
  }
});

void t.test("a panel that comes back while the prompt stands confirms; one that goes after the press was pressed", async (t) => {
  const { site, ask, press, waits, reasons } = await asked();
  const panel = site.panels.get("box-1")!;
  panel.plug(false);
  const late = ask();
  await waits();
  panel.plug(true);
  await press();
  panel.plug(false);
  await touch(site, "box-1", "alice");
  await finish(site, late);
  t.strictSame(reasons, []);
});

void t.test("a prompt that is taken back while the button is waited for ends, pressed or not", async (t) => {
  for (const pressed of [false, true]) {
    const { site, ask, press } = await asked();
    void ask();
    await touch(site, "box-1", "alice");
    await site.clock.advance(1000);
    const panel = site.panels.get("box-1")!;
    panel.shown.length = 0;
    panel.open();
    if (pressed) await press();
    await site.clock.advance(1000);
    t.equal(site.box("box-1").shown.at(-1), "—", "the prompt is gone");
    t.notOk(panel.shown.includes("accepted"));
  }
});
