import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { cache } from "#paths";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { parseHex } from "../../../firmware-bridge/emulators/panel/hex.ts";
import { PanelDesk, until } from "./support/desk.ts";

/** StandardFirmata is LGPL and not ours: it is fetched, never committed, and its package never installed (platform.md §4). */
const packed = "avrgirl-arduino@5.0.1";
const inside = "package/junk/hex/uno/StandardFirmata.cpp.hex";

function stock(): string | Error {
  const kept = join(cache, "stock-firmata.hex");
  if (existsSync(kept)) return kept;
  try {
    const folder = join(cache, "stock-firmata");
    mkdirSync(folder, { recursive: true });
    const [name = ""] = execFileSync("npm", ["pack", packed, "--silent", "--ignore-scripts", "--pack-destination", folder], { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "ignore"] }).trim().split("\n").slice(-1);
    execFileSync("tar", ["-xzf", join(folder, name), "-C", folder, inside], { stdio: "ignore" });
    renameSync(join(folder, inside), kept);
    return kept;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const found = stock();
if (found instanceof Error) {
  void t.test("a stock board", { skip: `${packed} is not to be had here: ${found.message.split("\n")[0] ?? ""}` }, () => undefined);
} else {
  void t.test("a stock board: light, buzzer, lid and button, but no latch, and it says so", async (t) => {
    const desk = new PanelDesk(t, { program: parseHex(readFileSync(found, "utf8")), pace: 1 });
    // It blinks its version for so long.
    await sleep(systemClock, 3000);
    const panel = await desk.panel();
    t.match(panel.facts, { firmware: /^StandardFirmata/, latch: false, serial: null, display: false, button: false, tamper: { open: false, latched: false, damaged: false, counter: 0, unwatched: null } });
    panel.show("ready");
    await until(() => desk.board.light === "green");
    desk.board.openLid(true);
    await until(() => panel.facts.tamper.open);
    desk.board.press(true);
    await until(() => panel.facts.button);
    desk.board.openLid(false);
    await until(() => !panel.facts.tamper.open);
    t.match(panel.facts.tamper, { latched: false }, "forgotten");
    panel.show("tamper");
    await until(() => desk.board.light === "red" && desk.board.buzzer);
    await t.rejects(panel.clearTamper(0), { code: "PANEL_NO_LATCH" });
    desk.board.receive(Uint8Array.of(0xff));
    desk.board.openLid(true);
    await until(() => panel.facts.tamper.open);
    desk.mute();
    await panel.line.closed;
  });
}
