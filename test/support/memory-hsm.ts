import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Hsm } from "../../agent/hsm/client.ts";
import { HsmError } from "../../agent/hsm/errors.ts";
import { createVault, type SealKeys } from "../../agent/hsm/seals.ts";
import { shareCalls } from "../../agent/hsm/share-calls.ts";
import { fromBase64url } from "../../agent/runtime/encoding.ts";
import { generateSigner, type Signer } from "../../agent/protocol/es256.ts";
import { generateRecipient, open, seal } from "../../agent/protocol/seal.ts";
import { equalBytes } from "../../agent/runtime/secrets.ts";

type Method<K extends keyof Hsm> = Hsm[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R | Promise<R> : never;
/** The same calls, answered at once or by a throw. */
type Direct = { readonly [K in keyof Hsm]: Method<K> };

const noAad = new Uint8Array(0);

function missing(name: string): HsmError {
  return new HsmError("KEY_MISSING", `the HSM holds no key ${name}`);
}

function requireAbsent(keys: ReadonlyMap<unknown, unknown>, name: string | number): void {
  if (keys.has(name)) throw new HsmError("KEY_EXISTS", `the HSM already holds a key ${name}`);
}

/** The seal keys that a token holds at this moment. */
export function sealKeysOf({ seals }: ReturnType<typeof memoryToken>): SealKeys {
  return {
    recipient: (generation) => {
      const key = seals.get(generation);
      if (key === undefined) throw missing(`seal ${generation}`);
      return key;
    },
  };
}

/** What an HSM keeps over a restart of its process. */
export function memoryToken() {
  return {
    signers: new Map<string, Signer & { readonly publicKey: string }>(),
    challenges: new Map<string, Uint8Array>(),
    seals: new Map<number, ReturnType<typeof generateRecipient>>(),
  };
}

/**
 * An HSM in memory, for simulations of whole sites: the product's own share handling over software keys.
 * It passes the same contract as the modules do (test/hsm/contract.ts).
 */
export function memoryHsm(label = "memory", token = memoryToken()): Hsm {
  const { signers, challenges, seals } = token;
  const sealKeys = sealKeysOf(token);
  const signer = (role: string): Signer & { readonly publicKey: string } => {
    const found = signers.get(role);
    if (found === undefined) throw missing(role);
    return found;
  };
  const publicKey = (role: string): Uint8Array => fromBase64url(signer(role).publicKey) ?? noAad;
  const mac = (box: string, message: Uint8Array): Uint8Array => {
    const secret = challenges.get(box);
    if (secret === undefined) throw missing(box);
    return new Uint8Array(createHmac("sha256", secret).update(createHash("sha256").update(message).digest()).digest());
  };
  const direct: Direct = {
    info: () => ({ manufacturer: "memory", model: "memory", label, serial: "0", backing: "software" }),
    reopen: () => undefined,
    createKey: (role) => {
      requireAbsent(signers, role);
      signers.set(role, generateSigner());
      return publicKey(role);
    },
    publicKey,
    sign: (role, message) => signer(role).sign(message),
    random: (length) => new Uint8Array(randomBytes(length)),
    selfTest: () => {
      if (signers.size === 0) throw new HsmError("HSM_SELF_TEST_FAILED", "the HSM holds no signing key");
    },
    createChallengeSecret: ({ box, recipient, info }) => {
      requireAbsent(challenges, box);
      const secret = new Uint8Array(randomBytes(32));
      const sealed = seal(recipient, info, noAad, secret);
      challenges.set(box, secret);
      return sealed;
    },
    acceptChallengeSecret: ({ box, generation, enc, ct, info }) => {
      const secret = open(sealKeys.recipient(generation), enc, info, noAad, ct);
      requireAbsent(challenges, box);
      challenges.set(box, secret);
    },
    removeChallengeSecret: ({ box }) => { challenges.delete(box); },
    mac: ({ box, message }) => mac(box, message),
    verifyMac: ({ box, message, mac: given }) => equalBytes(mac(box, message), given),
    createSealKey: ({ generation }) => {
      requireAbsent(seals, generation);
      const key = generateRecipient();
      seals.set(generation, key);
      return key.publicKey;
    },
    sealKeys: () => [...seals.keys()].sort((a, b) => a - b),
    destroySealKey: ({ generation }) => {
      seals.get(generation)?.destroy();
      seals.delete(generation);
    },
    createVault: ({ generation }) => createVault(sealKeys, generation),
    ...shareCalls(sealKeys),
  };
  return Object.fromEntries(Object.entries(direct).map(([name, call]) =>
    [name, async (...args: readonly unknown[]) => await (call as (...args: readonly unknown[]) => unknown)(...args)])) as unknown as Hsm;
}
