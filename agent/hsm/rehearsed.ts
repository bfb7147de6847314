import { generateSigner } from "../protocol/es256.ts";
import { bytesOf } from "../runtime/encoding.ts";
import type { Hsm } from "./hsm.ts";
import type { Role } from "./keys.ts";

/** What making a box or a coordinator asks of a token: what a rehearsal must be able to answer without touching it. */
export type FoundingHsm = Pick<Hsm,
  "info" | "publicKey" | "createKey" | "sign" | "createSealKey" | "destroySealKey" | "createVault" | "removeChallengeSecret" | "acceptChallengeSecret"
>;
export type OwnedHsm = FoundingHsm & { stop(): Promise<void> };

const nothing = (): Promise<void> => Promise.resolve();

/** A device `hsm` with keys that live in memory alone in place of those that it lacks: it is read, and nothing in it changes. A sealed secret is not opened. */
export function rehearsed(hsm: OwnedHsm): OwnedHsm {
  const made = new Map<Role, ReturnType<typeof generateSigner>>();
  return {
    info: () => hsm.info(),
    stop: () => hsm.stop(),
    publicKey: async (role) => {
      const own = made.get(role);
      return own === undefined ? await hsm.publicKey(role) : bytesOf(own.publicKey);
    },
    createKey: (role) => {
      const own = generateSigner();
      made.set(role, own);
      return Promise.resolve(bytesOf(own.publicKey));
    },
    sign: async (role, message) => await (made.get(role)?.sign(message) ?? hsm.sign(role, message)),
    createSealKey: () => Promise.resolve(bytesOf(generateSigner().publicKey)),
    destroySealKey: nothing,
    createVault: () => Promise.resolve({ enc: new Uint8Array(65), ct: new Uint8Array(48) }),
    removeChallengeSecret: nothing,
    acceptChallengeSecret: nothing,
  };
}
