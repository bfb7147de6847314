import { EmulatorError } from "../errors.ts";

/** What differs between the models of the family (hardware/fingerprint.md §§2.5, 2.9, 3.2). */
export interface Profile {
  readonly name: string;
  readonly capacity: number;
  readonly templateBytes: number;
  readonly featureBytes: number;
  readonly buffers: number;
  readonly image: { readonly width: number; readonly height: number };
  readonly systemId: number;
  /** Factory N; the rate is 9600 N. */
  readonly baud: number;
  readonly bauds: readonly number[];
  /** Whether a new rate works right after the ack, or after the next power-up (Q16). */
  readonly baudActsAtOnce: boolean;
  readonly readyMs: number;
  /** Whether it says 55h when ready. */
  readonly greets: boolean;
  readonly captureMs: number;
  readonly featureMs: number;
  readonly searchMsPerSlot: number;
  /** Ring light colours 1..n; 0 without a ring light. */
  readonly colours: number;
  /** Groups of commands beside the common ones. */
  readonly extras: readonly Extra[];
  readonly unknownOpcode: "unsupported" | "silent" | "echo";
  /** The id field of a search that found nothing (Q4). */
  readonly missId: number;
  /** A GetImage without finger spoils the features for Search and Match (Q3). */
  readonly captureSpoilsFeatures: boolean;
  /** RegModel takes two different fingers (Q6). */
  readonly mergesStrangers: boolean;
  /** Templates have one place of their own, whatever buffer is named (Q9); Match then never takes two features (Q7). */
  readonly oneTemplatePlace: boolean;
  /** Bit of slot 0 in the index table (Q17). */
  readonly indexShift: number;
  readonly enforcesPassword: boolean;
  readonly reportsStatus: boolean;
}
export type Extra = "r503" | "auto" | "fastSearch" | "echo" | "light";

const classic = {
  templateBytes: 512, featureBytes: 256, buffers: 2, image: { width: 256, height: 288 }, systemId: 0x0009,
  baud: 6, bauds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], baudActsAtOnce: false, readyMs: 500, greets: false,
  captureMs: 300, featureMs: 390, searchMsPerSlot: 1, colours: 0, extras: ["fastSearch", "echo"],
  unknownOpcode: "silent", missId: 0, captureSpoilsFeatures: false, mergesStrangers: false, oneTemplatePlace: false,
  indexShift: 0, enforcesPassword: true, reportsStatus: true,
} as const satisfies Partial<Profile>;

const r503 = {
  ...classic, name: "R503", capacity: 200, templateBytes: 1536, featureBytes: 512, buffers: 6, image: { width: 192, height: 192 },
  systemId: 0x0000, bauds: [1, 2, 4, 6, 12], baudActsAtOnce: true, readyMs: 50, greets: true, captureMs: 150, featureMs: 300,
  searchMsPerSlot: 2, colours: 7, extras: ["r503", "auto"], unknownOpcode: "unsupported", missId: 0x01ee,
  captureSpoilsFeatures: true, oneTemplatePlace: true,
} as const satisfies Profile;

export const profiles: Readonly<Record<string, Profile>> = {
  "r503": r503,
  "r503-2019": { ...r503, systemId: 0x0009, readyMs: 200, colours: 3, extras: ["r503"] },
  "r307": { ...classic, name: "R307", capacity: 1000, extras: ["fastSearch", "echo", "light"] },
  "as608": { ...classic, name: "AS608", capacity: 300 },
  "zfm-20": { ...classic, name: "ZFM-20", capacity: 162, systemId: 0x0000, extras: ["fastSearch"] },
  "r551": { ...classic, name: "R551", capacity: 500, templateBytes: 566, extras: [], unknownOpcode: "echo", indexShift: 1, enforcesPassword: false, reportsStatus: false },
  "slim-4750": { ...r503, name: "SLIM4750", capacity: 80, baud: 12, mergesStrangers: true, reportsStatus: false, extras: ["r503", "echo"] },
};

/** @throws UNKNOWN_PROFILE */
export function profileNamed(name: string): Profile {
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile === undefined) throw new EmulatorError("UNKNOWN_PROFILE", `no sensor profile named ${name}`, { remedy: `use one of ${Object.keys(profiles).join(", ")}` });
  return profile;
}
