import { concat } from "../../../../agent/runtime/encoding.ts";
import { code } from "../codes.ts";
import { answer, type Commands } from "../command.ts";
import { pid, type Received } from "../packets.ts";
import type { Profile } from "../profiles.ts";
import { withRam, type Download, type State } from "../state.ts";
import { placeTemplate, templateIn } from "./library.ts";

/** Templates and images in data packets (hardware/fingerprint.md §1.4). */
export const transferCommands: Commands = {
  // UpChar
  0x08: { parameters: 1, run: (state, parameters, { profile }) => {
    const data = templateIn(profile, state, parameters.getUint8(0));
    return data === null ? answer(state, code.uploadFailed) : { ...answer(state, code.done), data };
  } },
  // DownChar
  0x09: { parameters: 1, run: (state, parameters, { profile }) => {
    const into = parameters.getUint8(0);
    if (into < 1 || into > profile.buffers) return answer(state, code.badPacket);
    return answer(withRam(state, { download: { into, bytes: new Uint8Array(0) } }), code.done);
  } },
  // UpImage
  0x0a: { parameters: 0, run: (state) =>
    state.ram.image === null ? answer(state, code.imageUploadFailed) : { ...answer(state, code.done), data: state.ram.image } },
  // DownImage
  0x0b: { parameters: 0, run: (state) => answer(withRam(state, { download: { into: "image", bytes: new Uint8Array(0) } }), code.done) },
};

/**
 * One data packet from the host. There is no ack, whatever comes: a damaged packet's content is lost, and
 * only reading back shows it. What lies beyond the buffer is dropped, what is missing reads as zeros.
 */
export function receiveData(profile: Profile, state: State, packet: Received): State {
  const { download } = state.ram;
  if (download === null) return state;
  const size = download.into === "image" ? profile.image.width * profile.image.height / 2 : profile.templateBytes;
  const bytes = packet.intact ? concat(download.bytes, packet.content).subarray(0, size) : download.bytes;
  if (packet.pid !== pid.end) return withRam(state, { download: { ...download, bytes } });
  return land(profile, withRam(state, { download: null }), { ...download, bytes }, size);
}

function land(profile: Profile, state: State, { into, bytes }: Download, size: number): State {
  const whole = new Uint8Array(size);
  whole.set(bytes);
  return into === "image" ? withRam(state, { image: whole }) : placeTemplate(profile, state, into, whole);
}
