import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { ownerLock, type HsmConfig } from "../../agent/hsm/client.ts";
import { hasCode, ShardkeepError } from "../../agent/runtime/errors.ts";
import { holdersOf } from "./holders.ts";

/** As agent/runtime/supervisor.ts: what flock(1) ends with when another has the lock. */
const heldByAnother = 73;

/** The file that whoever owns this token keeps locked; undefined where there is no token yet. */
export function lockOf(hsm: HsmConfig): string | undefined {
  try {
    const file = ownerLock(hsm);
    return existsSync(file) ? file : undefined;
  } catch (error) {
    if (hasCode(error, "HSM_CONFIG_INVALID")) return undefined;
    throw error;
  }
}

/** Whether an agent, a coordinator or a joining has this token now: it keeps its lock for its whole life. */
export function isRunning(hsm: HsmConfig): boolean {
  const file = lockOf(hsm);
  return file !== undefined && spawnSync("flock", ["-n", "-E", String(heldByAnother), file, "true"]).status === heldByAnother;
}

function running(file: string): ShardkeepError {
  const [holder] = holdersOf(file);
  return new ShardkeepError("ALREADY_OWNED", `another process owns ${file}${holder === undefined ? "" : `: ${holder.name}, process ${holder.pid}`}`, { remedy: "stop the agent or coordinator first" });
}

/** Works while nobody can start on this token. Throws ALREADY_OWNED if somebody has. */
export async function whileStopped<T>(hsm: HsmConfig, work: () => Promise<T> | T): Promise<T> {
  const file = lockOf(hsm);
  if (file === undefined) return await work();
  // cat(1) gives the byte back once flock has let it begin, and ends with us.
  const child = spawn("flock", ["-n", "-E", String(heldByAnother), file, "cat"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "close");
  child.stdin.on("error", () => undefined).write("\n");
  const got = await Promise.race([once(child.stdout, "data").then(() => true), ended.then(() => false)]);
  if (!got) throw running(file);
  try {
    return await work();
  } finally {
    child.stdin.end();
    await ended;
  }
}
