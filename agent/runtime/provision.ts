import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { makeFolder, writeDurably } from "./durable.ts";
import { hasCode, ShardkeepError } from "./errors.ts";
import { inStep, type Say } from "./steps.ts";

/**
 * What making a coordinator and making a box have in common: whose the state folder is, and the token and the store
 * that go with it. Every step is done once and can be done again after a power cut.
 */
export class ProvisionError extends ShardkeepError<"STATE_FOREIGN" | "STATE_DAMAGED" | "TOKEN_FOREIGN"> {}

const owner = z.strictObject({ site: z.string(), name: z.string(), token: z.string(), complete: z.boolean() });

/**
 * Whose state folder this is and which token goes with it. Written when the token is ours and before it holds any
 * key: so a token with keys that no such file names is somebody else's, and one that it names is never made anew.
 * Once `complete`, nothing that is missing is made again: it was lost.
 */
export class Ownership {
  readonly #path: string;
  readonly #of: { readonly site: string; readonly name: string };
  #token: string | undefined;
  #complete = false;

  /** Throws STATE_FOREIGN, STATE_DAMAGED. */
  constructor(state: string, of: { readonly site: string; readonly name: string }) {
    this.#path = join(state, "owner.json");
    this.#of = of;
    if (!existsSync(this.#path)) return;
    const known = owner.safeParse(json(this.#path));
    if (!known.success) throw new ProvisionError("STATE_DAMAGED", `${this.#path} is not what was written`, { cause: known.error, remedy: `keep ${state} aside and begin with an empty folder` });
    if (known.data.site !== of.site || known.data.name !== of.name) {
      throw new ProvisionError("STATE_FOREIGN", `${state} belongs to ${known.data.name} of site ${known.data.site}, not to ${of.name} of ${of.site}`, { remedy: "name another state folder in the configuration" });
    }
    this.#token = known.data.token;
    this.#complete = known.data.complete;
  }

  /** The serial number of the token that is ours, undefined as long as none is. */
  get token(): string | undefined {
    return this.#token;
  }

  get complete(): boolean {
    return this.#complete;
  }

  take(token: string): void {
    this.#token = token;
    this.#write();
  }

  finish(): void {
    this.#complete = true;
    this.#write();
  }

  /** Throws STATE_DAMAGED if this was complete once: what is missing now was lost, and a new one is another one. */
  requireUnfinished(missing: string): void {
    if (this.#complete) throw new ProvisionError("STATE_DAMAGED", `${missing} is gone from ${dirname(this.#path)}`, { remedy: "restore the folder from its backup; to begin anew, move it and its token away" });
  }

  #write(): void {
    makeFolder(dirname(this.#path));
    writeDurably(this.#path, `${JSON.stringify({ ...this.#of, token: this.#token, complete: this.#complete })}\n`);
  }
}

function json(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** A token as far as owning it goes, and the HSM `H` that it becomes when it is started. */
export interface Token<H> {
  /** Makes the token; undefined where tokens are not made by software. Rejects with TOKEN_EXISTS. */
  readonly initialise: (() => Promise<unknown>) | undefined;
  readonly start: () => Promise<H>;
  readonly hasKeys: (hsm: H) => Promise<boolean>;
}
interface Startable {
  info(): Promise<{ readonly serial: string }>;
  stop(): Promise<void>;
}

/** Makes the token, or finds it to be ours, and gives it started; the caller stops it. Throws TOKEN_FOREIGN, and what the HSM says. */
export function ownToken<H extends Startable>(ownership: Ownership, token: Token<H>, say: Say): Promise<H> {
  return inStep(say, "token", () => owned(ownership, token, say));
}

async function owned<H extends Startable>(ownership: Ownership, token: Token<H>, say: Say): Promise<H> {
  const mine = ownership.token;
  const made = mine === undefined && await initialised(token);
  const hsm = await token.start().catch((cause: unknown) => {
    throw mine !== undefined || made || hasCode(cause, "ALREADY_OWNED") ? cause : foreign("the PIN file does not open it", cause);
  });
  try {
    const { serial } = await hsm.info();
    if (mine === undefined) {
      if (await token.hasKeys(hsm)) throw foreign("it holds keys already");
      ownership.take(serial);
    } else if (mine !== serial) {
      throw foreign(`it is ${serial}, but this state folder goes with ${mine}`);
    }
    say("token", made ? "changed" : "ok", { serial });
    return hsm;
  } catch (error) {
    await hsm.stop();
    throw error;
  }
}

/** False for a token that is there already, or that software does not make. */
async function initialised({ initialise }: Pick<Token<unknown>, "initialise">): Promise<boolean> {
  try {
    await initialise?.();
    return initialise !== undefined;
  } catch (error) {
    if (hasCode(error, "TOKEN_EXISTS")) return false;
    throw error;
  }
}

function foreign(why: string, cause?: unknown): ProvisionError {
  return new ProvisionError("TOKEN_FOREIGN", `the token of this name has another owner: ${why}`, {
    cause, remedy: "name another token and PIN file in the configuration",
  });
}

/** Opens the store of an owner, or makes it if it never was complete. `missing` is the code with which `open` says that there is none. */
export function ownStore<T>(ownership: Ownership, { open, create, missing }: { open: () => Promise<T>; create: () => Promise<T>; missing: string }, say: Say): Promise<T> {
  return inStep(say, "store", async () => {
    try {
      const store = await open();
      say("store", "ok");
      return store;
    } catch (error) {
      if (!hasCode(error, missing)) throw error;
      ownership.requireUnfinished("the store");
      const store = await create();
      say("store", "changed");
      return store;
    }
  });
}
