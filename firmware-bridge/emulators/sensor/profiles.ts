/** What differs between models of the family (hardware/fingerprint.md §2.9); times in ms at speed 1. */
export interface Profile {
  readonly model: string;
  readonly capacity: number;
  readonly templateBytes: number;
  readonly image: { readonly width: number; readonly height: number };
  readonly buffers: number;
  readonly systemId: number;
  readonly readyMs: number;
  readonly captureMs: number;
  readonly featureMs: number;
  readonly searchMs: number;
  readonly storeMs: number;
  /** The R503 commands: GetImageEx, aura light, product information, handshake, soft reset. */
  readonly extras: boolean;
  readonly fastSearch: boolean;
  /** Sends 0x55 when it is ready. */
  readonly greets: boolean;
}

const r503: Profile = {
  model: "R503", capacity: 200, templateBytes: 1536, image: { width: 192, height: 192 }, buffers: 6, systemId: 0, readyMs: 50,
  captureMs: 150, featureMs: 250, searchMs: 60, storeMs: 60, extras: true, fastSearch: false, greets: true,
};
const optical: Profile = {
  model: "R307", capacity: 1000, templateBytes: 512, image: { width: 256, height: 288 }, buffers: 2, systemId: 9, readyMs: 300,
  captureMs: 250, featureMs: 350, searchMs: 200, storeMs: 100, extras: false, fastSearch: true, greets: false,
};

export const profiles: Readonly<Record<string, Profile>> = {
  r503,
  r307: optical,
  as608: { ...optical, model: "AS608", capacity: 300 },
  zfm20: { ...optical, model: "ZFM-20", capacity: 162, systemId: 0, readyMs: 500 },
};
