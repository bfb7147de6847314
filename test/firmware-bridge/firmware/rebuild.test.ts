import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { build, compiler } from "#firmware/build";
import { root } from "#paths";
import { parseHex } from "../../../firmware-bridge/emulators/panel/hex.ts";
import { watch } from "./support/watch.ts";
import { wire } from "./support/wire.ts";

const folder = pathToFileURL(`${root}firmware-bridge/firmware/`);
const committed = readFileSync(new URL("panel.hex", folder), "utf8");
const madeBy = (JSON.parse(readFileSync(new URL("panel.json", folder), "utf8")) as { compiler: string }).compiler;
const here = compiler();

if (here === null) {
  void t.test("built anew", { skip: "no avr-gcc here: apt install gcc-avr avr-libc binutils-avr" }, () => undefined);
} else {
  const work = mkdtempSync(join(tmpdir(), "shardkeep-rebuild-"));
  const output = join(work, "panel.hex");
  build(output);
  const built = readFileSync(output, "utf8");
  rmSync(work, { recursive: true });
  void t.test("the committed build is what its compiler makes of the source", { skip: here === madeBy ? false : `this is ${here}, it was ${madeBy}` }, async (t) => {
    t.equal(built, committed, "else: node firmware-bridge/firmware/build.mjs");
  });
  // The same bits need no second look.
  if (built !== committed) {
    wire(t, parseHex(built));
    watch(t, parseHex(built));
  }
}
