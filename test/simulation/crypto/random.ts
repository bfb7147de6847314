import type * as real from "../../../agent/runtime/random.ts";
import { toyBytes } from "./toy.ts";

/** Stands for agent/runtime/random.ts in a simulation: what is drawn inside an HSM replays too. */
export const systemRandom = { bytes: toyBytes };

({ systemRandom }) satisfies typeof real;
