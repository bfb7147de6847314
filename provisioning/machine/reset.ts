import { existsSync, readdirSync, readFileSync, rmSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { destroyKeys, lookAtTokens } from "../../agent/hsm/client.ts";
import { writeDurably } from "../../agent/runtime/durable.ts";
import { hasCode, isNamed, ShardkeepError } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { ProvisionError } from "../../agent/runtime/provision.ts";
import { BridgeProcess } from "../../firmware-bridge/client.ts";
import { isWithin, placesOf, syncPath } from "../backup/files.ts";
import type { BoxInstallation } from "./installation.ts";
import { isRunning, whileStopped } from "./lock.ts";

export type ResetStep = { readonly step: string; readonly state: "ok" | "changed" | "would change" };
export type SayReset = (step: ResetStep) => void;

/** Whose state it was: written before anything is destroyed and removed last, so that what a power cut leaves is known to be ours. */
const journal = z.object({ site: z.string(), name: z.string(), token: z.string().optional() });
const journalName = "reset.json";

/** Throws STATE_FOREIGN, STATE_DAMAGED. */
function ownerOf({ state, site, name }: BoxInstallation): z.infer<typeof journal> | undefined {
  const file = [journalName, "owner.json"].map((one) => join(state, one)).find((one) => existsSync(one));
  if (file === undefined) return undefined;
  const known = journal.safeParse(json(file));
  if (!known.success) throw new ProvisionError("STATE_DAMAGED", `${file} is not what was written`, { cause: known.error, remedy: `look whose ${state} is; then remove it by hand` });
  if (known.data.site !== site || known.data.name !== name) throw new ProvisionError("STATE_FOREIGN", `${state} belongs to ${known.data.name} of site ${known.data.site}, not to ${name} of ${site}`, { remedy: "name the right configuration: nothing was destroyed" });
  return known.data;
}

function json(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** SoftHSM's folder of a token is a UUID that ends in its serial number. */
const isOf = (serial: string) => (entry: string): boolean => entry.replace(/\.token-backup$/, "").replaceAll("-", "").endsWith(serial);

/** Whether the token is there. Throws TOKEN_FOREIGN for one of its name that does not go with this state. */
async function tokenThere({ hsm }: BoxInstallation, folder: string | undefined, serial: string | undefined): Promise<boolean> {
  if (folder !== undefined && !existsSync(folder)) return false;
  const named = (await lookAtTokens(hsm, { log: silentLog })).filter(({ label }) => label === hsm.token);
  if (named.length === 0) return false;
  if (serial === undefined || !named.some((one) => one.serial === serial)) throw new ProvisionError("TOKEN_FOREIGN", `the token ${hsm.token} is ${named.map((one) => one.serial).join(", ")}, but this state folder goes with ${serial ?? "none"}`, { remedy: "nothing was destroyed: find out whose token that is" });
  return true;
}

/** Rejects as the sensor's own calls do; then nothing was destroyed yet. */
async function freeSensor({ state, config: { sensor } }: BoxInstallation): Promise<void> {
  const bridge = new BridgeProcess({ config: { sensor: { ...sensor, stateFile: join(state, "sensor.json") } }, log: silentLog, quiet: true, lockFile: join(state, "sensor.lock") });
  try {
    await bridge.start();
    await bridge.unpair();
  } catch (cause) {
    const { code, message } = isNamed(cause) ? cause : { code: "SENSOR_ABSENT", message: String(cause) };
    throw new ShardkeepError(code, message, { cause, remedy: `connect this box's sensor, so that it can be freed and its fingers be taken out; if it is gone for good, remove ${join(state, "sensor.json")}: that sensor serves nobody again` });
  } finally {
    await bridge.stop();
  }
}

/** Through the module, so that a device destroys them too; where the PIN is lost, those of SoftHSM go with their files. */
async function destroy({ hsm }: BoxInstallation): Promise<boolean> {
  try {
    return await destroyKeys(hsm, { log: silentLog }) > 0;
  } catch (error) {
    if (hsm.softhsmConf !== undefined && (hasCode(error, "PIN_REFUSED") || hasCode(error, "PIN_UNREADABLE"))) return false;
    throw error;
  }
}

function remove(path: string): boolean {
  if (!existsSync(path)) return false;
  rmSync(path, { recursive: true });
  if (existsSync(dirname(path))) syncPath(dirname(path));
  return true;
}

/** The token's own files; the folder too, if only locks are left in it. */
function removeToken(folder: string, serial: string): boolean {
  if (!existsSync(folder)) return false;
  const removed = readdirSync(folder).filter(isOf(serial)).map((entry) => remove(join(folder, entry)));
  if (readdirSync(folder).every((entry) => entry === "owner.lock")) remove(folder);
  return removed.length > 0;
}

/**
 * Ends this box: its sensor is freed, its keys are destroyed in the token, then token files, PIN, store and
 * certificates go. Done again it goes on where it was cut off, or finds all `ok`. The configuration stays.
 * Rejects with ALREADY_OWNED, STATE_FOREIGN, TOKEN_FOREIGN, a sensor's or the token's error.
 */
export async function resetBox(of: BoxInstallation, dryRun: boolean, say: SayReset): Promise<void> {
  const { state, site, name, hsm } = of;
  if (isRunning(hsm)) throw new ShardkeepError("ALREADY_OWNED", `the agent of ${name} runs`, { remedy: "stop it first" });
  const { token: folder, pin, softhsmConf } = placesOf(of);
  const owner = ownerOf(of);
  const serial = owner?.token;
  const isThere = owner !== undefined && await tokenThere(of, folder, serial);
  const pairing = join(state, "sensor.json");
  const step = async (text: string, isNeeded: boolean, work: () => Promise<boolean> | boolean): Promise<void> => {
    say({ step: text, state: !isNeeded ? "ok" : dryRun ? "would change" : await work() ? "changed" : "ok" });
  };
  await step("sensor", existsSync(pairing), async () => { await freeSensor(of); return remove(pairing); });
  if (owner !== undefined && !dryRun) writeDurably(join(state, journalName), `${JSON.stringify({ site, name, ...(serial === undefined ? {} : { token: serial }) })}\n`);
  await step("keys", isThere, () => destroy(of));
  await whileStopped(hsm, async () => {
    await step("token files", folder !== undefined && serial !== undefined && existsSync(folder), () => removeToken(folder ?? "", serial ?? ""));
    await step("pin", owner !== undefined && existsSync(pin), () => remove(pin));
    await step("state", owner !== undefined, () => removeState(state, softhsmConf));
  });
}

/** All but the journal first, and the folder last. */
function removeState(state: string, softhsmConf: string | undefined): boolean {
  for (const entry of readdirSync(state)) if (entry !== journalName) remove(join(state, entry));
  if (softhsmConf !== undefined && !isWithin(softhsmConf, state)) remove(softhsmConf);
  remove(join(state, journalName));
  rmdirSync(state);
  syncPath(dirname(state));
  return true;
}
