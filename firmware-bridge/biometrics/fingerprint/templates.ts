import { createHash } from "node:crypto";
import { equalBytes, wipe } from "../../../agent/runtime/secrets.ts";
import { SensorError } from "../errors.ts";
import { code } from "./codes.ts";
import { download, load, store, upload } from "./commands.ts";
import type { Exchange } from "./exchange.ts";

const buffer = 1;
/** Some modules report 256 and choke on it (Q14). */
const packetMost = 128;

/** SHA-256(prefix ‖ template): 32 bytes. */
export function templateDigest(prefix: Uint8Array, template: Uint8Array): Uint8Array {
  return createHash("sha256").update(prefix).update(template).digest();
}

/** What is stored in `slot`; its size is whatever the module sends. The caller wipes it. SLOT_EMPTY. */
export async function readTemplate(exchange: Exchange, slot: number): Promise<Uint8Array> {
  const loaded = await exchange.send(load(buffer, slot));
  if (!loaded.ok) {
    if (loaded.code === code.unreadable) throw new SensorError("SLOT_EMPTY", `slot ${slot} holds no template`);
    if (loaded.code === code.outOfRange) throw new SensorError("SLOT_INVALID", `the sensor has no slot ${slot}`);
    throw new SensorError("SENSOR_REFUSED", `the sensor does not load slot ${slot}`);
  }
  return await exchange.receive(upload(buffer));
}

/** The digest of what is stored in `slot`. */
export async function storedDigest(exchange: Exchange, slot: number, prefix: Uint8Array): Promise<Uint8Array> {
  const template = await readTemplate(exchange, slot);
  try {
    return templateDigest(prefix, template);
  } finally {
    wipe(template);
  }
}

/** Stores `template` in the free `slot`, and reads it back: a download is never acknowledged (§1.4). TEMPLATE_INVALID. */
export async function writeTemplate(exchange: Exchange, slot: number, template: Uint8Array, packetSize: number): Promise<void> {
  await exchange.transmit(download(buffer), template, Math.min(packetSize, packetMost));
  const stored = await exchange.send(store(buffer, slot));
  if (!stored.ok) throw new SensorError("TEMPLATE_INVALID", `the sensor does not store the template in slot ${slot}`, { remedy: "use a template of the same model of sensor" });
  const back = await readTemplate(exchange, slot);
  const same = equalBytes(back, template);
  wipe(back);
  if (!same) throw new SensorError("TEMPLATE_INVALID", `slot ${slot} does not hold what was sent`, { retryable: true, remedy: "try again; if it stays so, the template is of another model of sensor" });
}
