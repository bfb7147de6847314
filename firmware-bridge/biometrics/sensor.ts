/**
 * A sensor that tells persons apart, of any make. It knows nothing of wires; a fingerprint module on a serial
 * line is one implementation, a FIDO2 reader or a microphone would be others.
 */
export interface BiometricSensor {
  /** Such as `fingerprint`. */
  readonly modality: string;
  /** A: signs inside the reader. B: matches inside the reader. C: matches in software. */
  readonly class: "A" | "B" | "C";
  /** What it is and whether it may be used, found out afresh. Never rejects. */
  inspect(): Promise<SensorStatus>;
  /** Binds the sensor to this box. Idempotent. SENSOR_PAIRED_ELSEWHERE, SENSOR_FOREIGN. */
  pair(): Promise<void>;
  /** Takes every finger out of it and frees it for another box. Idempotent. SENSOR_PAIRED_ELSEWHERE, SENSOR_FOREIGN. */
  unpair(): Promise<void>;
  /** Waits for one touch and says whose it was. Rejects when the sensor cannot be trusted or used. */
  identify(request: IdentifyRequest, signal: AbortSignal): Promise<Identification>;
  /** Stores a new finger; on ENROL_FAILED nothing of it is left in the sensor. */
  enrol(request: EnrolRequest, progress: (step: EnrolStep) => void, signal: AbortSignal): Promise<Enrolment>;
  /** The stored template, at most 4096 bytes; the caller wipes it. SLOT_EMPTY. */
  exportTemplate(slot: number): Promise<Uint8Array>;
  /** Stores a template of a sensor of the same kind, read back and compared. SLOT_TAKEN, TEMPLATE_INVALID. */
  importTemplate(slot: number, template: Uint8Array): Promise<void>;
  /** Removes what is in `slot`. */
  remove(slot: number): Promise<void>;
  /** Shows `state` to the person in front of it, if it can. */
  light(state: LightState): Promise<void>;
}

export const sensorStates = ["ready", "absent", "unpaired", "foreign", "locked", "fault"] as const;
export type SensorState = (typeof sensorStates)[number];

export interface SensorStatus {
  readonly state: SensorState;
  readonly emulated: boolean;
  readonly model?: string | undefined;
  readonly serial?: string | undefined;
  readonly capacity?: number | undefined;
  readonly templates?: number | undefined;
  readonly detail?: string | undefined;
}

export const lightStates = ["off", "ready", "waiting", "captured", "accepted", "refused", "degraded", "tamper"] as const;
export type LightState = (typeof lightStates)[number];

/** A finger that may be accepted: `digest` = SHA-256(digestPrefix ‖ template), 32 bytes. */
export interface KnownFinger {
  readonly slot: number;
  readonly digestPrefix: Uint8Array;
  readonly digest: Uint8Array;
}

export interface IdentifyRequest {
  readonly timeoutMs: number;
  readonly fingers: readonly KnownFinger[];
}

export type Ended = "timeout" | "cancelled";

export type Identification =
  | { readonly outcome: "matched"; readonly slot: number; readonly score: number; readonly digest: Uint8Array; readonly emulated: boolean }
  | { readonly outcome: "refused"; readonly reason: "unknown-finger" | "template-changed" | "poor-image" }
  | { readonly outcome: Ended };

export interface EnrolRequest {
  /** Default: the first free one. */
  readonly slot?: number | undefined;
  /** Slots that belong to somebody even if the sensor says that they are free. */
  readonly taken?: readonly number[] | undefined;
  readonly digestPrefix: Uint8Array;
  readonly timeoutMs: number;
}

/** Touch or lift is asked for capture `n` of `of`, or it is done. The last one is the check that the finger is found. */
export interface EnrolStep {
  readonly step: "touch" | "lift" | "captured";
  readonly n: number;
  readonly of: number;
}

export interface Enrolment {
  readonly slot: number;
  /** SHA-256(digestPrefix ‖ template). */
  readonly digest: Uint8Array;
  readonly emulated: boolean;
}
