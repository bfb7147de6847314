import { z } from "zod";
import { id, label } from "../protocol/primitives.ts";
import { hsmConfig, hsmPaths } from "../hsm/client.ts";
import { readYaml } from "../runtime/config.ts";
import { besideConfig, configArgument } from "../runtime/main.ts";
import { milliseconds } from "../runtime/settings.ts";

/** `shardkeep agent --config FILE`. Relative paths are relative to the file. */
export const boxConfig = z.strictObject({
  site: id,
  box: id,
  zone: label.default("default"),
  /** Folder of this box: store, TLS files, sensor pairing. */
  state: z.string(),
  hsm: hsmConfig,
  broker: z.string().describe("mqtts://host:port"),
  sensor: z.strictObject({
    /** Serial device, best a by-id path of our udev rule; `auto`: the only one that answers as a sensor. */
    path: z.string(),
    /** A pseudo-terminal is an emulated sensor: refused unless this says otherwise. */
    allowEmulated: z.boolean().default(false),
    securityLevel: z.int().min(1).max(5).default(4),
  }),
  /** Light, display, lid switch (docs/panel.md); null: there is none. */
  panel: z.strictObject({
    /** Serial device, best a name of our udev rule; `auto` as above. */
    path: z.string(),
    allowEmulated: z.boolean().default(false),
    /** What it means that its supply was gone, and without a coin cell nobody watched the lid: told, or like an opened case. */
    unwatched: z.enum(["report", "lock"]).default("report"),
  }).nullable().default(null),
  /** What shows requester, operation, resource and code to the person at the sensor, beside the panel's display. */
  display: z.enum(["none", "console"]).default("console"),
  heartbeatMs: milliseconds(2000, 100, 60_000),
  /** A coordinator by itself changes at most one holder of a key within so long on this box's own clock. */
  reshardWindowMs: milliseconds(600_000, 0, 86_400_000),
});
export type BoxConfig = z.infer<typeof boxConfig>;

/** `auto` is the bridge's to find; all else is a file. */
export const linePath = (absolute: (path: string) => string) => (path: string): string => (path === "auto" ? path : absolute(path));

/** The configuration that `args` name, its paths made absolute. */
export function readBoxConfig(args: readonly string[]): BoxConfig {
  const file = configArgument(args);
  const absolute = besideConfig(file);
  const line = linePath(absolute);
  const config = readYaml(file, boxConfig);
  return {
    ...config, state: absolute(config.state), hsm: hsmPaths(config.hsm, absolute),
    sensor: { ...config.sensor, path: line(config.sensor.path) },
    panel: config.panel === null ? null : { ...config.panel, path: line(config.panel.path) },
  };
}
