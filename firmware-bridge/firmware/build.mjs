/*
 * node firmware-bridge/firmware/build.mjs [OUTPUT.hex]
 *
 * Builds the panel's firmware with Debian's gcc-avr (apt install gcc-avr avr-libc binutils-avr). Without an
 * output it renews panel.hex and panel.json, which names the compiler that made it.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("./", import.meta.url));
const sources = ["panel.c", "firmata.c", "memory.c", "serial.c", "twi.c"];
const flags = ["-mmcu=atmega328p", "-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-Wl,--gc-sections"];

/** Such as "avr-gcc (GCC) 5.4.0", or null where there is none. */
export function compiler() {
  try {
    return execFileSync("avr-gcc", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n")[0];
  } catch {
    return null;
  }
}

/** Writes the firmware as Intel HEX. */
export function build(output) {
  const work = mkdtempSync(join(tmpdir(), "shardkeep-firmware-"));
  try {
    const elf = join(work, "panel.elf");
    execFileSync("avr-gcc", [...flags, "-o", elf, ...sources], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
    execFileSync("avr-objcopy", ["-O", "ihex", "-R", ".eeprom", elf, resolve(output)], { stdio: ["ignore", "inherit", "inherit"] });
  } finally {
    rmSync(work, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const output = process.argv[2];
  build(output ?? join(folder, "panel.hex"));
  if (output === undefined) writeFileSync(join(folder, "panel.json"), `${JSON.stringify({ compiler: compiler() }, null, 2)}\n`);
}
