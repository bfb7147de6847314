import { encodeQR } from "qr";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { hasCode } from "../../agent/runtime/errors.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { readRecord } from "../doctor/store.ts";
import type { BoxInstallation } from "./installation.ts";
import { png } from "./png.ts";

/** What stands on a box: public, and enough to tell it from every other. */
export interface Label {
  readonly site: string;
  readonly box: string;
  /** Of its identity key (agent/runtime/fingerprint.ts). */
  readonly fingerprint: string;
}

async function keyInRecord(of: BoxInstallation): Promise<string | undefined> {
  try {
    return (await readRecord(of)).body.boxes.find(({ id }) => id === of.name)?.key;
  } catch (error) {
    if (hasCode(error, "NOT_JOINED")) return undefined;
    throw error;
  }
}

/** Of a box that has asked to join and has no answer yet, only its token knows. */
async function keyInToken({ hsm: config }: BoxInstallation): Promise<string> {
  const hsm = new HsmProcess(config, { log: silentLog });
  try {
    await hsm.start();
    return toBase64url(await hsm.publicKey("identity"));
  } finally {
    await hsm.stop();
  }
}

/** Rejects with STORE_MISSING for a box that never asked to join. */
export async function labelOf(of: BoxInstallation): Promise<Label> {
  const key = await keyInRecord(of) ?? await keyInToken(of);
  return { site: of.site, box: of.name, fingerprint: fingerprintOf(key) };
}

/** To compare at a glance; who has to be sure compares the whole one. */
export const short = ({ fingerprint }: Label): string => (fingerprint.slice(0, 12).match(/.{4}/g) ?? []).join(" ");

/** What the QR code says. */
export const labelText = ({ site, box, fingerprint }: Label): string => `shardkeep:box?site=${site}&box=${box}&key=${fingerprint}`;

/** Four squares of border (ISO/IEC 18004 §9.1); a quarter of it may be scratched. */
const squares = (label: Label): boolean[][] => encodeQR(labelText(label), "raw", { ecc: "quartile", border: 4 });

/** 8 pixels a square: about 2.5 cm at 300 dpi. */
export const labelPng = (label: Label): Buffer => png(squares(label), 8);

/** Two rows of squares a line; light ones are drawn, as terminals are dark. */
export function labelLines(label: Label): string[] {
  const rows = squares(label);
  return rows.filter((_, y) => y % 2 === 0).map((upper, half) => upper.map((dark, x) => {
    const [above, below] = [!dark, !(rows[2 * half + 1]?.[x] ?? true)];
    return above && below ? "█" : above ? "▀" : below ? "▄" : " ";
  }).join(""));
}
