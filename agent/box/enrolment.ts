import type { z } from "zod";
import type { boxRequests } from "../protocol/messages.ts";
import { templatePrefix, type Enrolled } from "../protocol/evidence.ts";
import type { SiteRecord } from "../protocol/site-record.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { BoxParts } from "./parts.ts";
import { signAs } from "./sign.ts";

type Progress = z.infer<typeof boxRequests.enrol.part>;
interface Place { readonly person: string; readonly finger: string; readonly slot: number }

const touchesMs = 60_000;

/**
 * Fingers of this box's sensor. A template is nobody until a version of the record names its slot and digest: so it
 * may be put in at any time, and who is let in is decided by those who approve that version.
 */
export class Enrolments {
  readonly #parts: BoxParts;
  /** Enrolled in this life and in no record yet. */
  #waiting: Place[] = [];

  constructor(parts: BoxParts) {
    this.#parts = parts;
  }

  async enrol(person: string, finger: string, onProgress: (part: Progress) => void): Promise<{ enrolled: Enrolled; sensor: "device" | "emulated" }> {
    const { records, bridge, site } = this.#parts;
    const taken = [...this.#placesIn(records.current), ...this.#waiting].map(({ slot }) => slot);
    const result = await bridge.enrol({ digestPrefix: templatePrefix(site, person, finger), timeoutMs: touchesMs, taken }, onProgress);
    this.#waiting.push({ person, finger, slot: result.slot });
    const body = { person, finger, slot: result.slot, template: toBase64url(result.digest) };
    const enrolled = await signAs(this.#parts, "enrolled", body);
    return { enrolled, sensor: result.emulated ? "emulated" : "device" };
  }

  /** Removes a finger from this sensor that no sealed record names; one that is not there is removed already. */
  async unenrol(person: string, finger: string): Promise<void> {
    const { current } = this.#parts.records;
    const places = [...(current.body.sealed ? [] : this.#placesIn(current)), ...this.#waiting].filter((one) => one.person === person && one.finger === finger);
    for (const { slot } of places) await this.#parts.bridge.remove({ slot });
    this.#waiting = this.#waiting.filter((one) => !places.includes(one));
  }

  /** Who has left the record leaves the sensor. */
  async follow(before: SiteRecord, after: SiteRecord): Promise<void> {
    const named = new Set(this.#placesIn(after).map(({ slot }) => slot));
    this.#waiting = this.#waiting.filter(({ slot }) => !named.has(slot));
    for (const { person, finger, slot } of this.#placesIn(before)) {
      if (named.has(slot)) continue;
      try {
        await this.#parts.bridge.remove({ slot });
      } catch (error) {
        this.#parts.log.warn("finger not removed from the sensor", { person, finger, error: String(error) });
      }
    }
  }

  #placesIn({ body }: SiteRecord): Place[] {
    return body.people.flatMap((person) => person.fingers.filter(({ box }) => box === this.#parts.box).map(({ name, slot }) => ({ person: person.id, finger: name, slot })));
  }
}
