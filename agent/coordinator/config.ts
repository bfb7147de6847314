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
  /**
   * Either the embedded broker at an address, or another broker by URL. Mosquitto has a listener of its own for
   * clients, whose commands run side by side under one certificate (design §5).
   */
  broker: z.union([
    z.strictObject({ listen: z.strictObject({ host: z.string().default("127.0.0.1"), port: z.int().min(1).max(65535) }) }),
    z.strictObject({ url: z.string(), clients: z.string().optional() }),
  ]),
  /** Where boxes that have a code ask to join; absent: they join by file only. */
  join: z.strictObject({ listen: z.strictObject({ host: z.string().default("0.0.0.0"), port: z.int().min(1).max(65535).default(8885) }) }).optional(),
  heartbeatMs: milliseconds(2000, 100, 60_000),
  /** A box unheard for this long is suspect, and asked for work. */
  suspectMs: milliseconds(6000, 300, 600_000),
  /** How long a box may take for that work. */
  probeMs: milliseconds(3000, 100, 60_000),
  /** A box unheard for this long is lost when it also fails its work; at least twice `suspectMs`. */
  lostMs: milliseconds(15_000, 600, 3_600_000),
  /** How long a box that was never heard since our start is waited for before it is suspect. */
  absentMs: milliseconds(600_000, 1000, 86_400_000),
  /** A box that was lost is ready again after beating for this long without a gap; doubled with every further loss. */
  steadyMs: milliseconds(20_000, 0, 3_600_000),
  /** Losses of a box within this time double its steady time, to at most 16 times. */
  flapWindowMs: milliseconds(3_600_000, 1000, 604_800_000),
  /** Longest announced maintenance of a box. */
  mostPauseMs: milliseconds(86_400_000, 1000, 604_800_000),
  /** After t good answers, how long the other holders' answers are still waited for. */
  graceMs: milliseconds(250, 0, 10_000),
  /** How long people have to put their fingers down; less than the approval window, in which nonces and message ids are kept. */
  operationMs: milliseconds(120_000, 1000, 240_000),
  /** Every key is re-sharded at least this often, shortened by up to a tenth by chance. */
  reshardPeriodMs: milliseconds(86_400_000, 1000, 31_536_000_000),
  /** By itself a coordinator changes one holder of a key within so long; boxes judge it by their own clock. */
  reshardWindowMs: milliseconds(600_000, 0, 86_400_000),
  /** How long a box may take for one step of a re-shard. */
  reshardStepMs: milliseconds(10_000, 500, 120_000),
  /** Refused touches that end an operation. */
  mostRefusedFingers: z.int().min(1).max(20).default(3),
// Boxes cut off together are all suspect before the first may be lost: what tells a loss from our own network.
}).refine(({ suspectMs, lostMs }) => lostMs >= 2 * suspectMs, { path: ["lostMs"], message: "at least twice suspectMs" });
export type CoordinatorConfig = z.infer<typeof coordinatorConfig>;

/** The configuration that `args` name, its paths made absolute. */
export function readCoordinatorConfig(args: readonly string[]): CoordinatorConfig {
  const file = configArgument(args);
  const absolute = besideConfig(file);
  const config = readYaml(file, coordinatorConfig);
  return { ...config, state: absolute(config.state), hsm: hsmPaths(config.hsm, absolute) };
}
