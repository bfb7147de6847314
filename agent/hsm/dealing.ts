import { openByEphemeral, seal, sealRevealable } from "../protocol/seal.ts";
import { systemRandom } from "../runtime/random.ts";
import { equalBytes, secretBytes, secretCopy, wipe } from "../runtime/secrets.ts";
import { expandMatrix } from "../sharding/check.ts";
import { dealMask, holderValue } from "../sharding/reshare.ts";
import { splitSecret } from "../sharding/shamir.ts";
import { HsmError } from "./errors.ts";
import type { DealTo, Hsm } from "./hsm.ts";
import type { Shards } from "./shards.ts";

const shareBytes = 32;
const maskBytes = 16;
const mostOpen = 64;

type Deal = Parameters<Hsm["dealShards"]>[0];
type Accusation = Parameters<Hsm["revealSeal"]>[0];
type Sealed = Awaited<ReturnType<Hsm["dealShards"]>>;

interface Dealing {
  /** By the holder's x': the secret half of its seal. */
  readonly ephemerals: Map<number, Uint8Array>;
  revealed?: number;
}

/**
 * The dealer's side of a re-shard (protocol.md §7, DEAL): one deal an id, since two deals under two masks would be
 * two polynomials through one shard. In memory only; what is kept of a deal is what an accusation needs.
 */
export class Dealings {
  readonly #shards: Shards;
  readonly #open = new Map<string, Dealing>();

  constructor(shards: Shards) {
    this.#shards = shards;
  }

  /** A deal that fails has given nothing away, and may be made again. Throws as Hsm.dealShards says. */
  async deal({ id, vault, shards, ...plan }: Deal): Promise<Sealed> {
    if (this.#open.has(id)) throw new HsmError("DEAL_ALREADY_GIVEN", `${id} has been dealt`, { remedy: "send again what was dealt, or begin the next attempt" });
    if (this.#open.size >= mostOpen) throw new HsmError("DEALING_FULL", `${mostOpen} dealings are open`, { remedy: "close those of attempts that have ended", retryable: true });
    const dealing: Dealing = { ephemerals: new Map() };
    this.#open.set(id, dealing);
    try {
      return await this.#shards.withAll(vault, shards, async (opened) => await withPieces(opened, plan, (holders, witnesses) => {
        if (this.#open.get(id) !== dealing) throw closed(id);
        return {
          holders: holders.map(({ x, recipient, info, piece }) => {
            const { ephemeral, ...box } = sealRevealable(recipient, info, info, piece);
            dealing.ephemerals.set(x, ephemeral);
            return box;
          }),
          witnesses: witnesses.map(({ recipient, info, piece }) => seal(recipient, info, info, piece)),
        };
      }));
    } catch (error) {
      if (this.#open.get(id) === dealing) this.close(id);
      throw error;
    }
  }

  /**
   * A copy of the scalar that opens the piece of holder `x`, if that piece is not what the holder published. Throws
   * REVEAL_ALREADY_GIVEN, DEALING_MISSING, PIECE_MISSING, CHECK_MATCHES, SEAL_INVALID (not our piece to it).
   */
  reveal({ id, x, recipient, enc, ct, info, ...accused }: Accusation): Uint8Array {
    const dealing = this.#open.get(id);
    if (dealing === undefined) throw closed(id);
    if (dealing.revealed !== undefined && dealing.revealed !== x) throw new HsmError("REVEAL_ALREADY_GIVEN", `${id} has revealed the piece of holder ${dealing.revealed}`);
    const ephemeral = dealing.ephemerals.get(x);
    if (ephemeral === undefined) throw new HsmError("PIECE_MISSING", `${id} dealt nothing to a holder ${x}`);
    // An honest holder's seal is never opened: with t'-1 holders in league that would be the key (docs/resharding.md).
    const piece = openByEphemeral(ephemeral, recipient, enc, info, info, ct);
    if (matches(piece, accused)) throw new HsmError("CHECK_MATCHES", `holder ${x} published what it was dealt in ${id}`);
    dealing.revealed = x;
    return secretCopy(ephemeral);
  }

  /** Wipes what was kept; nothing happens if there is none. */
  close(id: string): void {
    wipe(...this.#open.get(id)?.ephemerals.values() ?? []);
    this.#open.delete(id);
  }
}

/** Whether the piece is what its holder answered to; the piece is wiped. */
function matches(piece: Uint8Array, { transcript, keyIds, published }: Pick<Accusation, "transcript" | "keyIds" | "published">): boolean {
  const shares = keyIds.map((_, i) => secretCopy(piece.subarray(i * shareBytes, (i + 1) * shareBytes)));
  const mask = secretCopy(piece.subarray(keyIds.length * shareBytes));
  try {
    if (piece.length !== keyIds.length * shareBytes + maskBytes) return true;
    const terms = shares.map((share, i) => ({ matrix: expandMatrix(transcript, keyIds[i] ?? ""), share }));
    return equalBytes(holderValue(terms, mask), published);
  } finally {
    wipe(piece, mask, ...shares);
  }
}

function closed(id: string): HsmError {
  return new HsmError("DEALING_MISSING", `there is no dealing ${id}`, { remedy: "it was closed, or lost in a restart: the attempt has ended" });
}

type Addressed = DealTo & { readonly piece: Uint8Array };

function addressed(recipients: readonly DealTo[], length: number): Addressed[] {
  return recipients.map((to) => ({ ...to, piece: secretBytes(length) }));
}

/** Writes each recipient's part at `offset` of its piece, and wipes the parts. */
function put(recipients: readonly Addressed[], parts: readonly Uint8Array[], offset: number): void {
  recipients.forEach(({ piece }, index) => { piece.set(parts[index] ?? [], offset); });
  wipe(...parts);
}

/** Runs `use` with every recipient and its piece, and wipes the pieces. */
async function withPieces<T>(
  shards: readonly { readonly share: Uint8Array }[], { t, nextT, ...to }: Pick<Deal, "t" | "nextT" | "holders" | "witnesses">,
  use: (holders: readonly Addressed[], witnesses: readonly Addressed[]) => T,
): Promise<T> {
  const holders = addressed(to.holders, shards.length * shareBytes + maskBytes);
  const witnesses = addressed(to.witnesses, maskBytes);
  const xs = holders.map(({ x }) => x);
  try {
    const mask = await dealMask(systemRandom, { t, xs: witnesses.map(({ x }) => x) }, { t: nextT, xs });
    put(witnesses, mask.toWitnesses, 0);
    put(holders, mask.toHolders, shards.length * shareBytes);
    for (const [index, { share }] of shards.entries()) put(holders, await splitSecret(share, nextT, xs), index * shareBytes);
    return use(holders, witnesses);
  } finally {
    wipe(...[...holders, ...witnesses].map(({ piece }) => piece));
  }
}
