import { readFileSync } from "node:fs";
import t from "tap";
import { root } from "#paths";
import { parseHex } from "../../../firmware-bridge/emulators/panel/hex.ts";
import { wire } from "./support/wire.ts";
import { watch } from "./support/watch.ts";

/** The build that is committed. */
const program = parseHex(readFileSync(`${root}firmware-bridge/firmware/panel.hex`, "utf8"));
wire(t, program);
watch(t, program);
