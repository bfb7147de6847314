import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { readBoxConfig, type BoxConfig } from "../../agent/box/config.ts";
import { readCoordinatorConfig, type CoordinatorConfig } from "../../agent/coordinator/config.ts";
import type { HsmConfig } from "../../agent/hsm/client.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

interface Common {
  /** The configuration file, absolute. */
  readonly file: string;
  readonly site: string;
  /** The box's or the coordinator's id. */
  readonly name: string;
  readonly state: string;
  readonly hsm: HsmConfig;
}
export type BoxInstallation = Common & { readonly kind: "box"; readonly config: BoxConfig };
/** What one configuration file sets up on this machine. */
export type Installation = BoxInstallation | Common & { readonly kind: "coordinator"; readonly config: CoordinatorConfig };

const ofBox = z.looseObject({ box: z.unknown().refine((box) => box !== undefined) });

function namesBox(file: string): boolean {
  try {
    return ofBox.safeParse(parse(readFileSync(file, "utf8"))).success;
  } catch {
    // Whatever is wrong with the file, its own schema says it better.
    return false;
  }
}

/** Only a box's configuration names a `box`. Throws CONFIG_INVALID, CONFIG_UNREADABLE. */
export function readInstallation(path: string): Installation {
  const file = resolve(path);
  const args = ["--config", file];
  if (namesBox(file)) {
    const config = readBoxConfig(args);
    return { kind: "box", file, site: config.site, name: config.box, state: config.state, hsm: config.hsm, config };
  }
  const config = readCoordinatorConfig(args);
  return { kind: "coordinator", file, site: config.site, name: config.coordinator, state: config.state, hsm: config.hsm, config };
}

/** Throws CONFIG_INVALID for a coordinator's. */
export function readBoxInstallation(path: string): BoxInstallation {
  const installation = readInstallation(path);
  if (installation.kind === "box") return installation;
  throw new ShardkeepError("CONFIG_INVALID", `${path} is of coordinator ${installation.name}, not of a box`, { remedy: "name the box's own configuration: --config FILE" });
}
