/** A Debian part that was found: its absolute path, and what the environment of its process must have. */
export interface Part {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The project's own folder, ending in "/". */
export const root: string;

/** What may be deleted at any time and is made again. */
export const cache: string;

/** Debian packages unpacked without root. */
export const unpacked: string;

/** SoftHSM2's PKCS#11 module, or null. `env` is for the process that loads it. */
export function findSoftHsm(): Part | null;

/** Mosquitto's program, or null. `env` is for the process that is started. */
export function findMosquitto(): Part | null;

/** libfaketime, which gives a program another time, or null; only tests want it. */
export function findFakeTime(): Part | null;
