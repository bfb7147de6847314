import { code } from "../codes.ts";
import { answer, type Commands, type Outcome, type Surroundings } from "../command.ts";
import { capture, nonceFrom, recognise, render, type Print } from "../prints.ts";
import type { Profile } from "../profiles.ts";
import { withRam, type State } from "../state.ts";

const usable = { clear: 10, points: 30 } as const;

/** From finger to template (hardware/fingerprint.md §2.2). */
export const captureCommands: Commands = {
  // GenImg takes any image (Q5); Img2Tz tells.
  0x01: { parameters: 0, run: (state, _, around) => takeImage(state, around) },
  // Img2Tz
  0x02: { parameters: 1, run: (state, parameters, { profile }) => {
    const buffer = parameters.getUint8(0);
    if (buffer < 1 || buffer > profile.buffers) return answer(state, code.badPacket);
    if (state.ram.image === null) return answer(state, code.noImage);
    const features = extract(profile, state.ram.image);
    if (typeof features === "number") return answer(state, features);
    return answer(withRam(state, { buffers: state.ram.buffers.with(buffer - 1, features), searchable: true }), code.done);
  } },
  // RegModel
  0x05: { parameters: 0, run: (state, _, { profile }) => {
    const template = merge(profile, state.ram.buffers);
    if (template === null) return answer(state, code.noMerge);
    const buffers = state.ram.buffers.map((__, at) => !profile.oneTemplatePlace && at < 2 ? template : null);
    return answer(withRam(state, { template, buffers }), code.done);
  } },
};

/** GetImageEx: also refuses what cannot be used. */
export function takeGoodImage(state: State, around: Surroundings): Outcome {
  const outcome = takeImage(state, around);
  const poor = around.finger !== null && around.finger.quality < usable.points;
  return poor ? answer(outcome.state, code.fewPoints) : outcome;
}

function takeImage(state: State, { profile, finger, random }: Surroundings): Outcome {
  if (finger === null) {
    return answer(withRam(state, { image: null, ...(profile.captureSpoilsFeatures ? { searchable: false } : {}) }), code.noFinger);
  }
  const { width, height } = profile.image;
  // Two pixels a byte (§1.4).
  const image = render(capture(finger.name, finger.quality, random.bytes(16)), width * height / 2);
  return answer(withRam(state, { image }), code.done);
}

/** Features of an image, or the code that says why there are none. */
export function extract(profile: Profile, image: Uint8Array): Uint8Array | number {
  const seen = recognise(image);
  if (seen?.kind !== "image" || seen.quality < usable.clear) return code.messy;
  if (seen.quality < usable.points) return code.fewPoints;
  return render({ ...seen, kind: "feature", nonce: nonceFrom(seen.nonce) }, profile.featureBytes);
}

/** The template of all features there are, at least two; null if they do not belong together. */
export function merge(profile: Profile, buffers: readonly (Uint8Array | null)[]): Uint8Array | null {
  const features = buffers.map((bytes) => bytes === null ? null : recognise(bytes)).filter((print): print is Print => print?.kind === "feature");
  const fingers = new Map(features.flatMap((print) => print.fingers).map((finger) => [finger.join(), finger]));
  if (features.length < 2 || (fingers.size > 1 && !profile.mergesStrangers)) return null;
  const quality = Math.min(...features.map((print) => print.quality));
  return render({ kind: "template", nonce: nonceFrom(...features.map((print) => print.nonce)), fingers: [...fingers.values()], quality }, profile.templateBytes);
}
