import { createHash } from "node:crypto";
import { open, seal, type Recipient, type SealedBox } from "../protocol/seal.ts";
import { equalBytes, wipe } from "../runtime/secrets.ts";
import { systemRandom } from "../runtime/random.ts";
import type { Device } from "./device.ts";
import { HsmError } from "./errors.ts";
import { hmacWith, storeHmacKey } from "./keys.ts";
import { destroyAll, findAll } from "./objects.ts";

const secretLength = 32;
const noAad = new Uint8Array(0);
/** 39 bytes at most, for a box's name has at most 32. */
const label = (box: string): string => `sk:box:${box}`;

/**
 * The challenge secret that a box's HSM and the coordinator's HSM share (design §6): made at the
 * coordinator, non-extractable in both, in between only sealed to the box.
 */
export class Challenges {
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Coordinator: a new secret, stored for `box` and sealed to `recipient`. Throws KEY_EXISTS. */
  create(box: string, recipient: Uint8Array, info: Uint8Array): SealedBox {
    const secret = systemRandom.bytes(secretLength);
    try {
      const sealed = seal(recipient, info, noAad, secret);
      storeHmacKey(this.#device, label(box), secret);
      return sealed;
    } finally {
      wipe(secret);
    }
  }

  /** Box: opens what {@link create} sealed and stores it. Throws SEAL_INVALID, CHALLENGE_SECRET_INVALID, KEY_EXISTS. */
  accept(box: string, recipient: Recipient, sealed: SealedBox, info: Uint8Array): void {
    const secret = open(recipient, sealed.enc, info, noAad, sealed.ct);
    try {
      if (secret.length !== secretLength) throw new HsmError("CHALLENGE_SECRET_INVALID", `the challenge secret has ${secret.length} bytes instead of ${secretLength}`);
      storeHmacKey(this.#device, label(box), secret);
    } finally {
      wipe(secret);
    }
  }

  /** Ends the secret of a box; nothing happens if there is none. */
  remove(box: string): void {
    this.#device.run(`removing the challenge secret of ${box}`, (session) => { destroyAll(session, label(box)); });
    this.#device.reopen();
    const left = this.#device.once(`looking for the challenge secret of ${box}`, (session) => findAll(session, "secret", label(box)));
    if (left.length > 0) throw new HsmError("KEY_NOT_DESTROYED", `the challenge secret of ${box} is still in the HSM`, { remedy: "check that the token's disk is writable" });
    this.#device.sync();
  }

  /** HMAC-SHA-256 over SHA-256(message): 32 bytes. Hashed first, since a device takes short input only. */
  mac(box: string, message: Uint8Array): Uint8Array {
    const digest = createHash("sha256").update(message).digest();
    return this.#device.run(`answering a challenge as ${box}`, (session) => hmacWith(session, label(box), digest));
  }

  verify(box: string, message: Uint8Array, mac: Uint8Array): boolean {
    return equalBytes(this.mac(box, message), mac);
  }
}
