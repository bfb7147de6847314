import { canonical } from "../protocol/canonical.ts";
import { generateRecipient, open, seal, type Recipient, type SealedBox } from "../protocol/seal.ts";
import { systemRandom } from "../runtime/random.ts";
import { equalBytes, wipe } from "../runtime/secrets.ts";
import { hasCode } from "../runtime/errors.ts";
import type { Device, Session } from "./device.ts";
import { HsmError } from "./errors.ts";
import { proveDurable } from "./keys.ts";
import { deriveX, destroyAll, findAll, generatePair, isThere, labels, readPoint } from "./objects.ts";

const prefix = "sk:seal:";
const label = (generation: number): string => `${prefix}${generation}`;
const noAad = new Uint8Array(0);
/** A vault key never leaves its token, so it belongs to no site. */
const vaultInfo = (generation: number): Uint8Array => canonical("vault", "", { generation });

/** A vault key, sealed to the seal key of `generation`: enc 65 bytes, ct 48. */
export interface Vault extends SealedBox {
  readonly generation: number;
}

/** What holds the seal keys: the HSM, or memory in a simulation. */
export interface SealKeys {
  /** The seal key of a generation. Throws KEY_MISSING. */
  recipient(generation: number): Recipient;
}

/** Seal keys in the HSM (protocol.md §6): ECDH only, non-extractable, two at most in ordinary life. */
export class DeviceSealKeys implements SealKeys {
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Makes one and proves that it stays. Throws KEY_EXISTS, also for a half-made one: destroy that first. */
  create(generation: number): Uint8Array {
    const name = label(generation);
    this.#device.once(`making seal key ${generation}`, (session) => {
      if (isThere(session, name)) throw new HsmError("KEY_EXISTS", `the HSM already holds seal key ${generation}`);
      generatePair(session, name, 0x5200 + generation % 256, "derive");
    });
    proveDurable(this.#device, name, (session) => agrees(session, name));
    return this.#device.run(`reading seal key ${generation}`, (session) => readPoint(session, name));
  }

  /** Generations that have a private key, in order. */
  list(): number[] {
    const found = this.#device.run("listing seal keys", (session) => labels(session, "private"));
    return found.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length))).sort((a, b) => a - b);
  }

  /**
   * Destroys both halves, re-initialises the module (a failed destroy shows only there), and looks. Done
   * again, it does nothing. Throws KEY_NOT_DESTROYED.
   */
  destroy(generation: number): void {
    const name = label(generation);
    this.#device.run(`destroying seal key ${generation}`, (session) => { destroyAll(session, name); });
    this.#device.reopen();
    const left = this.#device.once(`looking for seal key ${generation}`, (session) => findAll(session, "private", name));
    if (left.length > 0) throw new HsmError("KEY_NOT_DESTROYED", `seal key ${generation} is still in the HSM`, { remedy: "check that the token's disk is writable; until then its shards count as exposed" });
    this.#device.sync();
  }

  recipient(generation: number): Recipient {
    const name = label(generation);
    return this.#device.run(`using seal key ${generation}`, (session) => ({
      publicKey: readPoint(session, name),
      agree: (peer) => this.#device.run(`opening with seal key ${generation}`, (own) => deriveX(own, name, peer)),
    }));
  }
}

/** Whether the HSM's half and a half in memory agree on one secret. */
function agrees(session: Session, name: string): boolean {
  const other = generateRecipient();
  const theirs = deriveX(session, name, other.publicKey);
  const ours = other.agree(readPoint(session, name));
  try {
    return equalBytes(ours, theirs);
  } finally {
    wipe(ours, theirs);
    other.destroy();
  }
}

/** A fresh 32-byte vault key, sealed. */
export function createVault(keys: SealKeys, generation: number): SealedBox {
  const { publicKey } = keys.recipient(generation);
  const key = systemRandom.bytes(32);
  try {
    return seal(publicKey, vaultInfo(generation), noAad, key);
  } finally {
    wipe(key);
  }
}

/** Runs `use` with the opened vault key, one ECDH of the device, and wipes it. Throws VAULT_DAMAGED, KEY_MISSING. */
export function withVault<T>(keys: SealKeys, vault: Vault, use: (key: Uint8Array) => T): T {
  const key = openVault(keys, vault);
  try {
    return use(key);
  } finally {
    wipe(key);
  }
}

function openVault(keys: SealKeys, { generation, enc, ct }: Vault): Uint8Array {
  try {
    return open(keys.recipient(generation), enc, vaultInfo(generation), noAad, ct);
  } catch (cause) {
    if (!hasCode(cause, "SEAL_INVALID")) throw cause;
    throw new HsmError("VAULT_DAMAGED", `the vault of seal generation ${generation} does not open`, { cause, remedy: "this box's shards cannot be read: re-shard round it" });
  }
}
