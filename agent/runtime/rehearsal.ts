import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isNamed, ShardkeepError } from "./errors.ts";
import { inStep, requireWritable, type Fields, type Say } from "./steps.ts";

/** In memory where there is such a place: nothing is written to the card. */
const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Where a run does all that it would do, and of which nothing stays. */
export interface Stand {
  /** In place of the state folder. */
  readonly state: string;
  /** An empty folder. */
  readonly scratch: string;
  readonly say: Say;
}

/**
 * A dry run: `work` is the real one, on a stand-in of the folder `state`. Its files are links to the real ones, so that
 * no secret is copied, and a file that is written durably takes a link's place; the store alone, which is written where it
 * lies and holds no secret in clear, is a copy. Beside `state` the run must be able to write to `folders`.
 * Rejects with DISK_UNWRITABLE and what `work` rejects with.
 */
export async function rehearse(state: string, folders: readonly string[], say: Say, work: (stand: Stand) => Promise<void>): Promise<void> {
  const scratch = mkdtempSync(join(place, "shardkeep-dry-run-"));
  const remove = (): void => { rmSync(scratch, { recursive: true, force: true }); };
  process.once("exit", remove);
  const own = join(scratch, "state");
  const real = (text: string): string => text.replaceAll(own, state);
  try {
    await inStep(say, "state", () => {
      for (const folder of [state, ...folders]) requireWritable(folder);
      if (existsSync(state)) mirror(state, own);
    });
    await work({ state: own, scratch, say: rehearsing(say, real) });
  } catch (error) {
    if (!isNamed(error)) throw error;
    throw new ShardkeepError(error.code, real(error.message), { cause: error, retryable: error.retryable, ...(error.remedy === undefined ? {} : { remedy: real(error.remedy) }) });
  } finally {
    remove();
    process.off("exit", remove);
  }
}

function mirror(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [theirs, ours] = [join(from, entry.name), join(to, entry.name)];
    if (entry.name === "store") cpSync(theirs, ours, { recursive: true });
    else if (entry.isDirectory()) mirror(theirs, ours);
    else symlinkSync(theirs, ours);
  }
}

/** Of a key or a token that was made for the rehearsal alone. */
const made = new Set(["serial", "authority"]);

function rehearsing(say: Say, real: (text: string) => string): Say {
  let changes = false;
  return (step, state, fields = {}) => {
    changes ||= state === "changed";
    const shown: Fields = Object.fromEntries(Object.entries(fields).filter(([name]) => !changes || !made.has(name)).map(([name, value]) => [name, typeof value === "string" ? real(value) : value]));
    say(step, state === "changed" ? "would change" : state, shown);
  };
}

/** Does `work` in the folder `state`, with no scratch, or rehearses it. Rejects with DISK_UNWRITABLE before anything is begun. */
export async function onStage(
  isDry: boolean, state: string, folders: readonly string[], say: Say, work: (on: Omit<Stand, "scratch"> & { readonly scratch: string | null }) => Promise<void>,
): Promise<void> {
  if (isDry) {
    await rehearse(state, folders, say, work);
  } else {
    await inStep(say, "state", () => { for (const folder of [state, ...folders]) requireWritable(folder); });
    await work({ state, scratch: null, say });
  }
}
