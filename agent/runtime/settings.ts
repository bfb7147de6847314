import { z } from "zod";

/** A duration of the monotonic clock with its default, in ms. */
export const milliseconds = (standard: number, least: number, most: number) =>
  z.int().min(least).max(most).default(standard).describe(`milliseconds, ${least} to ${most}, default ${standard}`);
