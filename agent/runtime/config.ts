import { readFileSync } from "node:fs";
import { parse, YAMLParseError } from "yaml";
import type { z } from "zod";
import { ShardkeepError } from "./errors.ts";

/** sysexits(3), as far as we use them; 78 makes systemd not restart (RestartPreventExitStatus). */
export const exitCodes = { ok: 0, failed: 1, usage: 64, data: 65, unavailable: 69, internal: 70, temporary: 75, refused: 77, config: 78 } as const;

export class ConfigError extends ShardkeepError<"CONFIG_INVALID" | "CONFIG_UNREADABLE"> {}

/**
 * Reads and checks a YAML document. Unknown keys are refused by the strict schemas, and *every* problem
 * is listed at once, each with its path.
 */
export function parseYaml<S extends z.ZodType>(text: string, schema: S, name: string): z.infer<S> {
  let raw: unknown;
  try {
    raw = parse(text, { strict: true, uniqueKeys: true });
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause;
    throw new ConfigError("CONFIG_INVALID", `${name}: ${cause.message}`, { cause, remedy: "mend the line that is named" });
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join(".") || "(whole file)"}: ${issue.message}`);
    throw new ConfigError("CONFIG_INVALID", `${name} has ${lines.length} problem${lines.length === 1 ? "" : "s"}\n${lines.join("\n")}`, { remedy: `edit ${name}; docs/configuration.md lists every key` });
  }
  return parsed.data;
}

export function readYaml<S extends z.ZodType>(path: string, schema: S): z.infer<S> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigError("CONFIG_UNREADABLE", `cannot read ${path}`, { cause, remedy: "check the path and its permissions" });
  }
  return parseYaml(text, schema, path);
}
