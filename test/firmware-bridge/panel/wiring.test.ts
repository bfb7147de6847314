import { readFileSync } from "node:fs";
import t from "tap";
import { root } from "#paths";
import { pins } from "../../../firmware-bridge/panel/board.ts";

const file = (name: string): string => readFileSync(`${root}${name}`, "utf8");

void t.test("driver, firmware, table and drawing have the same pins", async (t) => {
  const header = file("firmware-bridge/firmware/panel.h");
  const table = file("docs/hardware.md");
  const drawing = file("docs/panel-wiring.svg");
  const words: Readonly<Record<keyof typeof pins, string>> = { lid: "lid switch", button: "button", red: "red", green: "green", blue: "blue", buzzer: "buzzer" };
  for (const [name, pin] of Object.entries(pins)) {
    t.match(header, new RegExp(`pin_${name} = ${pin}\\b`));
    t.match(table, new RegExp(`^\\| D${pin} \\| ${words[name as keyof typeof pins]}`, "m"));
    t.match(drawing, new RegExp(`>D${pin}<`));
  }
});
