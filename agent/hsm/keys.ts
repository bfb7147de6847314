import { createHash, createHmac } from "node:crypto";
import pkcs11js from "pkcs11js";
import { verifyEs256 } from "../protocol/es256.ts";
import { toBase64url, utf8 } from "../runtime/encoding.ts";
import { hasCode } from "../runtime/errors.ts";
import { equalBytes } from "../runtime/secrets.ts";
import type { Device, Session } from "./device.ts";
import { HsmError } from "./errors.ts";
import { destroyAll, findAll, findOne, generatePair, importHmacKey, isThere, readPoint, signWith } from "./objects.ts";

/** `identity` is a box's or the coordinator's own; `authority` signs a site's record and TLS certificates. */
export type Role = "identity" | "authority";

const label = (role: Role): string => `sk:${role}`;
const ids = { identity: 0x5101, authority: 0x5102 } as const;

/** RFC 4868 §2.7.1, test case PRF-1: a public key for the self-test, so it protects nothing. */
const knownAnswer = {
  label: "sk:known-answer",
  key: new Uint8Array(32).fill(0x0b),
  message: utf8("Hi There"),
  mac: Buffer.from("198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7", "hex"),
};

const sha256 = (message: Uint8Array): Uint8Array => createHash("sha256").update(message).digest();

/** HMAC-SHA-256 of `data` (at most 1900 bytes) under the key of this label. */
export function hmacWith(session: Session, keyLabel: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return signWith(session, { mechanism: pkcs11js.CKM_SHA256_HMAC }, findOne(session, "secret", keyLabel), data, 32);
}

/**
 * Puts an HMAC key into the HSM and proves that it stays there: after a re-initialisation exactly one is
 * found and it MACs as the value in hand does. A full disk shows only there (hardware/pkcs11.md §1.4).
 */
export function storeHmacKey(device: Device, keyLabel: string, value: Uint8Array): void {
  device.once(`storing key ${keyLabel}`, (session) => {
    if (isThere(session, keyLabel)) throw new HsmError("KEY_EXISTS", `the HSM already holds a key ${keyLabel}`);
    importHmacKey(session, keyLabel, value);
  });
  proveDurable(device, keyLabel, (session) => {
    const probe = sha256(utf8(keyLabel));
    return equalBytes(hmacWith(session, keyLabel, probe), createHmac("sha256", value).update(probe).digest());
  });
}

/** Re-initialises the module, demands that the new key is found once and works, and syncs the disk. */
export function proveDurable(device: Device, keyLabel: string, works: (session: Session) => boolean): void {
  device.reopen();
  let proven = false;
  try {
    proven = device.once(`using new key ${keyLabel}`, works);
  } catch (error) {
    if (!hasCode(error, "KEY_MISSING")) throw error;
  }
  if (proven) {
    device.sync();
    return;
  }
  // What is left of it is ours alone: there was none before.
  device.once(`clearing key ${keyLabel}`, (session) => { destroyAll(session, keyLabel); });
  throw new HsmError("KEY_NOT_DURABLE", `the new key ${keyLabel} did not survive a re-initialisation of the HSM`, { remedy: "check that the token's disk is not full, then make the key again" });
}

/** Signing keys and self-test. */
export class Keys {
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Makes the key of a role; provisioning only. Throws KEY_EXISTS. */
  create(role: Role): Uint8Array {
    this.#device.once(`making the ${role} key`, (session) => {
      if (isThere(session, label(role))) throw new HsmError("KEY_EXISTS", `the HSM already holds the ${role} key`, { remedy: "a site's keys are made once: keep this one, or use an empty token" });
      generatePair(session, label(role), ids[role], "sign");
    });
    proveDurable(this.#device, label(role), (session) => this.#signsRightly(session, role));
    if (!this.#device.run("looking for the self-test key", (session) => isThere(session, knownAnswer.label))) {
      storeHmacKey(this.#device, knownAnswer.label, knownAnswer.key);
    }
    return this.publicKey(role);
  }

  /** Throws KEY_MISSING; never makes one. */
  publicKey(role: Role): Uint8Array {
    return this.#device.run(`reading the ${role} key`, (session) => readPoint(session, label(role)));
  }

  sign(role: Role, message: Uint8Array): Uint8Array {
    return this.#device.run(`signing as ${role}`, (session) => this.#sign(session, role, message));
  }

  random(length: number): Uint8Array {
    return this.#device.run("drawing random bytes", ({ api, handle }) => new Uint8Array(api.C_GenerateRandom(handle, Buffer.alloc(length))));
  }

  /** A MAC of known value, and a signature by every key there is. Throws HSM_SELF_TEST_FAILED. */
  selfTest(): void {
    this.#device.run("the self-test", (session) => {
      const roles = (["identity", "authority"] as const).filter((role) => findAll(session, "private", label(role)).length > 0);
      const passed = roles.length > 0
        && equalBytes(hmacWith(session, knownAnswer.label, knownAnswer.message), knownAnswer.mac)
        && roles.every((role) => this.#signsRightly(session, role));
      if (!passed) throw new HsmError("HSM_SELF_TEST_FAILED", "the HSM gives wrong answers, or holds no signing key", { remedy: "take this HSM out of service" });
    });
  }

  #sign(session: Session, role: Role, message: Uint8Array): Uint8Array {
    // Not every module knows CKM_ECDSA_SHA256, and none checks the length that CKM_ECDSA gets (§1.1).
    return signWith(session, { mechanism: pkcs11js.CKM_ECDSA }, findOne(session, "private", label(role)), sha256(message), 64);
  }

  #signsRightly(session: Session, role: Role): boolean {
    const message = utf8(`shardkeep/v1/self-test ${role}`);
    return verifyEs256(toBase64url(readPoint(session, label(role))), message, toBase64url(this.#sign(session, role, message)));
  }
}
