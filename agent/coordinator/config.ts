import { z } from "zod";
import { id } from "../protocol/primitives.ts";
import { hsmConfig, hsmPaths } from "../hsm/client.ts";
import { readYaml } from "../runtime/config.ts";
import { besideConfig, configArgument } from "../runtime/main.ts";
import { milliseconds } from "../runtime/settings.ts";

/** `shardkeep coordinator --config FILE`. Relative paths are relative to the file. */
export const coordinatorConfig = z.strictObject({
  site: id,
  coordinator: id.default("coordinator"),
  state: z.string(),
  hsm: hsmConfig,
  /** Either the embedded broker at an address, or another broker by URL. */
  broker: z.union([
    z.strictObject({ listen: z.strictObject({ host: z.string().default("127.0.0.1"), port: z.int().min(1).max(65535) }) }),
    z.strictObject({ url: z.string() }),
  ]),
  heartbeatMs: milliseconds(2000, 100, 60_000),
  /** A box unheard for this long is suspect, and lost after three times that. */
  suspectMs: milliseconds(6000, 300, 600_000),
  /** After t good answers, how long the other holders' answers are still waited for. */
  graceMs: milliseconds(250, 0, 10_000),
  /** How long people have to put their fingers down; less than the approval window, in which nonces and message ids are kept. */
  operationMs: milliseconds(120_000, 1000, 240_000),
  /** Refused touches that end an operation. */
  mostRefusedFingers: z.int().min(1).max(20).default(3),
});
export type CoordinatorConfig = z.infer<typeof coordinatorConfig>;

/** The configuration that `args` name, its paths made absolute. */
export function readCoordinatorConfig(args: readonly string[]): CoordinatorConfig {
  const file = configArgument(args);
  const absolute = besideConfig(file);
  const config = readYaml(file, coordinatorConfig);
  return { ...config, state: absolute(config.state), hsm: hsmPaths(config.hsm, absolute) };
}
