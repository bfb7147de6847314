import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { readText, write } from "./files.ts";
import { note } from "./output.ts";
import { noteStep, type Step } from "./steps.ts";

export const answers = { answers: z.string().optional() };
export const answersOption = ["--answers <file>", "makes the configuration out of these answers if it is not there yet; docs/configuration.md"] as const;

/** A configuration to go on with, and what became of it. */
export interface Settled {
  readonly config: string;
  readonly steps: readonly Step[];
}

type Questions = z.ZodObject<Readonly<Record<string, z.ZodType>>>;
/** Asks a person; undefined at the end of what is typed. */
export type Ask = (words: string) => Promise<string | undefined>;

/**
 * Whole answers out of `given`: what is missing or wrong is asked one by one, or, where nobody can be asked, refused at
 * once. What nobody asks is refused in any case. Throws ANSWERS_INVALID.
 */
export async function complete(schema: Questions, given: Readonly<Record<string, unknown>>, file: string, ask: Ask | undefined): Promise<Record<string, unknown>> {
  const { AnswersError } = await import("./machine/answers.ts");
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${path.length === 0 ? message : `${path.join(".")}: ${given[String(path[0])] === undefined ? `is missing: ${schema.shape[String(path[0])]?.description ?? ""}` : message}`}`);
  const invalid = new AnswersError("ANSWERS_INVALID", `${file} has ${lines.length} problem${lines.length === 1 ? "" : "s"}\n${lines.join("\n")}`, { remedy: `mend ${file}, or run this on a terminal, which asks; docs/configuration.md has every answer` });
  const asked = [...new Set(parsed.error.issues.map(({ path }) => path[0]))];
  if (ask === undefined || asked.includes(undefined)) throw invalid;
  const whole: Record<string, unknown> = { ...given };
  for (const [key, field] of Object.entries(schema.shape).filter(([name]) => asked.includes(name))) {
    for (;;) {
      const typed = await ask(`${key}, ${field.description ?? ""}: `);
      if (typed === undefined) throw invalid;
      const read = [scalar(typed), typed].map((value) => field.safeParse(value));
      const right = read.find(({ success }) => success);
      if (right !== undefined) {
        whole[key] = right.data;
        break;
      }
      note(`  ${read.flatMap(({ error }) => error?.issues ?? []).at(-1)?.message ?? ""}`);
    }
  }
  return schema.parse(whole);
}

/** As YAML would read it in the file. */
function scalar(typed: string): unknown {
  try {
    return parse(typed);
  } catch {
    return typed;
  }
}

async function onTerminal<T>(work: (ask: Ask | undefined) => Promise<T>): Promise<T> {
  if (!process.stdin.isTTY) return await work(undefined);
  const line = createInterface({ input: process.stdin, output: process.stderr });
  const typed = line[Symbol.asyncIterator]();
  try {
    return await work(async (words) => {
      process.stderr.write(words);
      const next = await typed.next();
      return next.done === true ? undefined : next.value;
    });
  } finally {
    line.close();
  }
}

/**
 * Makes the configuration `config` out of the answers in `file`, unless it is there and says the same. In a rehearsal it
 * is made elsewhere, for as long as this process runs. Throws ANSWERS_INVALID, ANSWERS_DIFFER, CONFIG_INVALID, FILE_….
 */
export async function settle(kind: "box" | "site", given: string, file: string | undefined, isDry: boolean): Promise<Settled> {
  if (file === undefined) return { config: given, steps: [] };
  const { answersOf, configFrom, readAnswers, requireSame } = await import("./machine/answers.ts");
  const config = resolve(given);
  const read = readAnswers(readText(file), file);
  const made = configFrom(kind, config, await onTerminal((ask) => complete(answersOf[kind], read, file, ask)));
  if (existsSync(config)) {
    requireSame(kind, config, made);
    return settled(config, "ok");
  }
  const content = stringify(made);
  if (!isDry) {
    write(config, content);
    return settled(config, "changed");
  }
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-answers-"));
  process.once("exit", () => { rmSync(folder, { recursive: true, force: true }); });
  write(join(folder, basename(config)), content);
  return settled(join(folder, basename(config)), "would change");

  function settled(at: string, state: Step["state"]): Settled {
    const step = { step: "configuration", state, file: config };
    noteStep(step, isDry);
    return { config: at, steps: [step] };
  }
}
