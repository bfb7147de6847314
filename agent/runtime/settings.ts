import { z } from "zod";

/** The PKCS#11 token of a box or coordinator. Paths only: the PIN is read by the process that owns the module. */
export const hsmSettings = z.strictObject({
  module: z.string().describe("path of the PKCS#11 module"),
  token: z.string().max(32).describe("token label"),
  serial: z.string().optional().describe("token serial number; pins one of several tokens with one label"),
  pinFile: z.string().describe("file with the user PIN, mode 0600"),
  softhsmConf: z.string().optional().describe("SoftHSM only: its own configuration file"),
});
export type HsmSettings = z.infer<typeof hsmSettings>;

/** A duration of the monotonic clock with its default, in ms. */
export const milliseconds = (standard: number, least: number, most: number) =>
  z.int().min(least).max(most).default(standard).describe(`milliseconds, ${least} to ${most}, default ${standard}`);
