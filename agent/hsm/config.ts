import { dirname } from "node:path";
import { z } from "zod";

const path = z.string().min(1).max(4096);

/** Which module, which token, and where its PIN is. No field is a secret: this goes into argv. */
export const hsmConfig = z.strictObject({
  /** The PKCS#11 module, for example /usr/lib/softhsm/libsofthsm2.so. */
  module: path,
  /** The token's label, at most 32 bytes. Slot numbers change; labels do not. */
  token: z.string().regex(/^[\x20-\x7e]{1,32}$/, "1 to 32 printable ASCII characters"),
  /** The token's serial number: needed where two tokens share a label. */
  serial: z.string().min(1).max(16).optional(),
  /** Holds the user PIN alone, mode 0600. A unit's credential `shardkeep-pin` takes its place. */
  pinFile: path,
  /** SoftHSM's configuration file, its `SOFTHSM2_CONF`: this token's own, never the system's. */
  softhsmConf: path.optional(),
  /** What other modules take at their initialisation, like YubiHSM's `connector=http://127.0.0.1:12345`. */
  parameters: z.string().max(1024).optional(),
});
export type HsmConfig = z.infer<typeof hsmConfig>;

/** The same configuration with its paths made absolute; a module's bare name is the loader's to find. */
export function hsmPaths(config: HsmConfig, absolute: (path: string) => string): HsmConfig {
  const { module, pinFile, softhsmConf } = config;
  return {
    ...config,
    module: module.includes("/") ? absolute(module) : module,
    pinFile: absolute(pinFile),
    ...(softhsmConf === undefined ? {} : { softhsmConf: absolute(softhsmConf) }),
  };
}

/** The folders in which a token of SoftHSM and its PIN are made; a device needs none. */
export function hsmFolders({ pinFile, softhsmConf }: HsmConfig): string[] {
  return softhsmConf === undefined ? [] : [dirname(pinFile), dirname(softhsmConf)];
}
