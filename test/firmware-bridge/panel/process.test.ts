import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import t from "tap";
import { root } from "#paths";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { silentLog } from "../../../agent/runtime/log.ts";
import { BridgeProcess, type PanelStatus } from "../../../firmware-bridge/client.ts";
import { PanelControl, type PanelState } from "../../../firmware-bridge/emulators/panel/control.ts";

const emulator = `${root}dist/firmware-bridge/emulators/main.js`;
const entry = pathToFileURL(`${root}dist/firmware-bridge/main.js`);
interface Teardown {
  teardown(task: () => unknown): void;
}

async function emulated(t: Teardown, ...options: readonly string[]): Promise<{ folder: string; link: string; control: PanelControl; child: ChildProcess }> {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-panel-"));
  const link = join(folder, "panel");
  const child = spawn(process.execPath, [emulator, "panel", "--link", link, "--control", join(folder, "control"), ...options], { env: { ...process.env, NODE_OPTIONS: "" }, stdio: ["ignore", "pipe", "ignore"] });
  await once(createInterface({ input: child.stdout }), "line");
  const control = await PanelControl.connect(join(folder, "control"));
  t.teardown(async () => {
    control.close();
    child.kill();
    await once(child, "exit");
    rmSync(folder, { recursive: true });
  });
  return { folder, link, control, child };
}

class Bridge {
  readonly process: BridgeProcess;
  readonly told: PanelStatus[] = [];

  constructor(t: Teardown, folder: string, panel: { path: string; allowEmulated?: boolean } | null) {
    this.process = new BridgeProcess({
      config: { sensor: { path: join(folder, "no-sensor"), stateFile: join(folder, "pairing") }, panel },
      log: silentLog, entry, onPanel: (status) => { this.told.push(status); },
    });
    t.teardown(() => this.process.stop());
  }

  async until(fits: (status: PanelStatus) => boolean): Promise<PanelStatus> {
    for (;;) {
      const status = await this.process.panel();
      if (fits(status)) return status;
      await sleep(systemClock, 20);
    }
  }
}

async function until(control: PanelControl, fits: (state: PanelState) => boolean): Promise<PanelState> {
  for (;;) {
    const state = await control.state();
    if (fits(state)) return state;
    await sleep(systemClock, 20);
  }
}

void t.test("three processes' worth: bridge, pty, firmware", async (t) => {
  const { folder, link, control } = await emulated(t);
  const box = new Bridge(t, folder, { path: link, allowEmulated: true });
  const { process: bridge, told } = box;
  await bridge.start();
  const first = await box.until(({ state }) => state === "ready");
  t.match(first, { emulated: true, latch: true, firmware: "shardkeep-panel 1.0", display: true, button: false, tamper: { open: false, latched: false, unwatched: { from: 0, to: 1 } } });
  t.match(await bridge.clearTamper({ counter: first.tamper!.counter }), { tamper: { unwatched: null } });

  await bridge.show({ state: "identify" });
  await until(control, ({ light, buzzer }) => light === "white" || buzzer);
  await bridge.print({ lines: ["decrypt payroll", "code 4711"] });
  await until(control, ({ display }) => display?.[0] === "decrypt payroll" && display[1] === "code 4711");

  await control.button("pressed");
  await control.lid("open");
  const { tamper } = await box.until(({ button, tamper }) => button === true && tamper?.open === true && tamper.latched);
  t.ok(told.some(({ button }) => button), "told without being asked");
  await t.rejects(bridge.clearTamper({ counter: tamper!.counter }), { code: "LID_OPEN" });
  await control.lid("closed");
  await box.until((status) => status.tamper?.open === false);
  await t.rejects(bridge.clearTamper({ counter: tamper!.counter + 1 }), { code: "TAMPER_STALE" });

  await sleep(systemClock, 100);
  await control.unplug();
  await box.until(({ state }) => state === "absent");
  await t.rejects(bridge.print({ lines: ["later"] }), { code: "PANEL_ABSENT" });
  await bridge.show({ state: "ready" });
  await control.replug();
  t.match(await box.until(({ state }) => state === "ready"), { tamper: { latched: true, unwatched: { from: 1, to: 2 } } });
  t.match(await until(control, ({ light, display }) => light === "green" && display?.[0] === "later"), { buzzer: false }, "what it missed");
});

void t.test("opened while the bridge is down: told at its return", async (t) => {
  const { folder, link, control } = await emulated(t, "--no-display");
  const first = new Bridge(t, folder, { path: link, allowEmulated: true });
  await first.process.start();
  const { tamper } = await first.until(({ state }) => state === "ready");
  await first.process.clearTamper({ counter: tamper!.counter });
  await first.process.stop();
  await control.lid("open");
  await sleep(systemClock, 100);
  await control.lid("closed");
  const next = new Bridge(t, folder, { path: link, allowEmulated: true });
  await next.process.start();
  t.match(await next.until(({ state }) => state === "ready"), { display: false, tamper: { open: false, latched: true, unwatched: null } });
  t.equal(next.told[0]?.state, "absent", "before it has looked: the agent may still believe what the life before said");
  await t.rejects(next.process.print({ lines: [] }), { code: "PANEL_NO_DISPLAY" });
});

void t.test("an emulated panel is refused where it is not allowed; where none is configured there is none", async (t) => {
  const { folder, link } = await emulated(t);
  const strict = new Bridge(t, folder, { path: link });
  await strict.process.start();
  t.match(await strict.until(({ state }) => state === "fault"), { emulated: true, detail: /^EMULATED_REFUSED/ });
  const without = new Bridge(t, folder, null);
  await without.process.start();
  t.same(await without.process.panel(), { state: "none", emulated: false });
  await without.process.show({ state: "ready" });
  await t.rejects(without.process.clearTamper({ counter: 1 }), { code: "PANEL_ABSENT" });
});
