import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { boxConfig, linePath, readBoxConfig } from "../../agent/box/config.ts";
import { coordinatorConfig, readCoordinatorConfig } from "../../agent/coordinator/config.ts";
import { id, label } from "../../agent/protocol/primitives.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

export class AnswersError extends ShardkeepError<"ANSWERS_INVALID" | "ANSWERS_DIFFER"> {}

const path = z.string().min(1).max(4096);
const port = z.int().min(1).max(65535);
const url = z.string().refine((text) => URL.canParse(text) && new URL(text).protocol === "mqtts:" && new URL(text).port !== "", "mqtts://host:port");

/** Where the token is and where its owner lives; of SoftHSM nothing need be said. */
const machine = {
  state: path.optional().describe("folder for store and certificates"),
  module: path.default("/usr/lib/softhsm/libsofthsm2.so").describe("PKCS#11 module of the HSM"),
  token: z.string().regex(/^[\x20-\x7e]{1,32}$/, "1 to 32 printable ASCII characters").optional().describe("label of the token"),
  serial: z.string().min(1).max(16).optional().describe("serial number of the token"),
  pinFile: path.optional().describe("file of the user PIN; never the PIN itself"),
  parameters: z.string().max(1024).optional().describe("what the module takes at its initialisation"),
};

/** What a box cannot know by itself. Nothing in it is a secret. */
export const boxAnswers = z.strictObject({
  site: id.describe("name of the site"),
  box: id.describe("name of this box"),
  zone: label.describe("what fails together with it: rack, room, building"),
  broker: url.describe("where the broker is, mqtts://host:port"),
  sensor: path.describe("serial device of the fingerprint sensor"),
  panel: path.nullable().describe("serial device of the panel, null for none"),
  ...machine,
});

/** What a new site's coordinator cannot know by itself. */
export const siteAnswers = z.strictObject({
  site: id.describe("name of the site"),
  host: z.string().min(1).max(253).describe("address at which boxes reach this machine, or 0.0.0.0"),
  port: port.default(8883).describe("port of the embedded broker"),
  joinPort: port.optional().describe("port at which boxes with a code may join; without it by file only"),
  coordinator: id.default("coordinator").describe("name of the coordinator"),
  ...machine,
});

/** The answers of a text as YAML gives them. Throws ANSWERS_INVALID for what is no mapping, or was not copied to its end. */
export function readAnswers(text: string, file: string): Record<string, unknown> {
  const invalid = (why: string, cause?: unknown): AnswersError => new AnswersError("ANSWERS_INVALID", `${file} ${why}`, { cause, remedy: "copy it again; docs/configuration.md says what belongs in it" });
  if (!/(?:^|\n)\.\.\.\s*$/.test(text)) throw invalid("does not end with the line `...`: half of it is missing");
  try {
    const parsed = z.record(z.string(), z.unknown()).safeParse(parse(text, { strict: true, uniqueKeys: true }));
    if (parsed.success) return parsed.data;
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause;
    throw invalid(`cannot be read: ${cause.message}`, cause);
  }
  throw invalid("holds no answers");
}

type Kind = "box" | "site";
export const answersOf = { box: boxAnswers, site: siteAnswers } as const;

/** Where everything lies: beside a configuration NAME.yaml, in /var/lib/shardkeep/NAME, which is the unit's place. */
function placed(config: string, name: string, { state, module, token, serial, pinFile, parameters }: Pick<z.infer<typeof boxAnswers>, keyof typeof machine>) {
  const absolute = (one: string): string => (isAbsolute(one) ? one : resolve(dirname(config), one));
  const folder = absolute(state ?? join("/var/lib/shardkeep", basename(config).replace(/\.ya?ml$/, "")));
  return {
    absolute, state: folder,
    hsm: {
      module: module.includes("/") ? absolute(module) : module, token: token ?? name, ...(serial === undefined ? {} : { serial }),
      pinFile: pinFile === undefined ? join(folder, "pin") : absolute(pinFile),
      ...(/softhsm/i.test(basename(module)) ? { softhsmConf: join(folder, "softhsm2.conf") } : {}), ...(parameters === undefined ? {} : { parameters }),
    },
  };
}

/** The configuration that follows from whole answers for the file `config`; its paths are absolute. */
export function configFrom(kind: Kind, config: string, answers: Readonly<Record<string, unknown>>): object {
  if (kind === "box") {
    const given = boxAnswers.parse(answers);
    const { absolute, state, hsm } = placed(config, given.box, given);
    const { site, box, zone, broker, sensor, panel } = given;
    const line = linePath(absolute);
    return { site, box, zone, state, hsm, broker, sensor: { path: line(sensor) }, panel: panel === null ? null : { path: line(panel) } };
  }
  const given = siteAnswers.parse(answers);
  const { site, coordinator, host, port, joinPort } = given;
  const { state, hsm } = placed(config, coordinator, given);
  return { site, coordinator, state, hsm, broker: { listen: { host, port } }, ...(joinPort === undefined ? {} : { join: { listen: { port: joinPort } } }) };
}

/**
 * That the configuration in `config` says what the answers say; it may say more. Throws ANSWERS_DIFFER with every
 * difference, and CONFIG_INVALID.
 */
export function requireSame(kind: Kind, config: string, answered: object): void {
  const there: Readonly<Record<string, unknown>> = kind === "box" ? readBoxConfig(["--config", config]) : readCoordinatorConfig(["--config", config]);
  const wanted: Readonly<Record<string, unknown>> = kind === "box" ? boxConfig.parse(answered) : coordinatorConfig.parse(answered);
  const differing = Object.keys(answered).filter((key) => !isDeepStrictEqual(essence(there[key]), essence(wanted[key])));
  if (differing.length === 0) return;
  throw new AnswersError("ANSWERS_DIFFER", `${config} is there and says something else\n${differing.map((key) => `  ${key}: ${JSON.stringify(there[key])}, the answers: ${JSON.stringify(wanted[key])}`).join("\n")}`, {
    remedy: "are these the answers for this machine? Nothing was changed; mend the configuration or the answers, or name another --config",
  });
}

/** Of a device only its line is answered; how it is used is a setting. */
function essence(value: unknown): unknown {
  const device = z.looseObject({ path: z.string() }).safeParse(value);
  return device.success ? device.data.path : value;
}
