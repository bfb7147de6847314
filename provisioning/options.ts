import { Command, Option } from "commander";
import { z } from "zod";
import { UsageError } from "./output.ts";

/** A command with its examples; every one of them takes --json. */
export function command(name: string, description: string, examples: readonly string[]): Command {
  return new Command(name).description(description)
    .addOption(new Option("--json", "one JSON document on stdout").default(false))
    .addHelpText("after", `\nExamples:\n${examples.map((line) => `  $ shardkeep ${line}`).join("\n")}`);
}

/** A group of commands, like `site`. */
export function group(name: string, description: string, commands: readonly Command[]): Command {
  return commands.reduce((parent, child) => parent.addCommand(child), new Command(name).description(description));
}

export const json = { json: z.boolean().default(false) };
/** A client.yaml: by --client, else by the environment, else in this folder. */
export const client = { ...json, client: z.string().default(() => process.env["SHARDKEEP_CLIENT"] ?? "client.yaml") };
export const clientOption = ["--client <file>", "client.yaml of who asks (default: $SHARDKEEP_CLIENT or ./client.yaml)"] as const;
export const configOption = ["--config <file>", "configuration file; docs/configuration.md"] as const;

const flagOf = (path: readonly PropertyKey[]): string => `--${String(path[0]).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** A command's options, checked: every problem at once, each with its flag. Throws USAGE. */
export function optionsOf<S extends z.ZodType>(from: Command, schema: S): z.infer<S> {
  const given = from.opts<Record<string, unknown>>();
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `${flagOf(path)}: ${given[String(path[0])] === undefined ? "is needed" : message}`);
  throw new UsageError("USAGE", lines.join("\n  "), { remedy: helpOf(from) });
}

/** An argument, checked likewise. Throws USAGE. */
export function argument<S extends z.ZodType>(from: Command, name: string, schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError("USAGE", `${name}: ${parsed.error.issues.map(({ message }) => message).join("; ")}`, { remedy: helpOf(from) });
}

/** For an option that is repeated for each. */
export const list = (value: string, all: string[]): string[] => [...all, value];

export function helpOf(from: Command): string {
  const names: string[] = [];
  for (let at: Command | null = from; at !== null; at = at.parent) names.unshift(at.name());
  return `${names.join(" ")} --help`;
}
