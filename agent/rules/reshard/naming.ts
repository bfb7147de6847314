import type { Join } from "../../protocol/key-record.ts";
import { pieceHash, reshardPieceContext, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../protocol/reshard.ts";
import { openByEphemeral } from "../../protocol/seal.ts";
import { statementHash } from "../../protocol/statement.ts";
import type { Sealed } from "../../protocol/primitives.ts";
import { bytesOf } from "../../runtime/encoding.ts";
import { equalBytes, wipe } from "../../runtime/secrets.ts";
import { expandMatrix } from "../../sharding/check.ts";
import { holderValue } from "../../sharding/reshare.ts";


/** One seal of a burnt attempt, opened by its dealer because a holder's CHECK is not what was dealt to it. */
export interface OpenedSeal {
  readonly plan: ReshardPlan;
  readonly transcript: string;
  readonly deal: ReshardDeal;
  /** The piece as it was sent to the holder. */
  readonly piece: Sealed;
  readonly join: Join;
  readonly check: ReshardCheck;
  /** The private half of the piece's `enc`, base64url of 32 bytes; public from now on. */
  readonly ephemeral: string;
}

/**
 * Who lied, for everybody to see (docs/resharding.md, "Opening a seal"): the holder, if what it was sent is not what
 * it published; else the dealer, who opens no seal that matches if it is honest, and seals what it signed. A dealer
 * opens by its own comparison and never because a verdict names a holder: two liars can have an honest one named, and
 * each opened seal of an honest holder is as good as one more corrupted box.
 */
export function liarOf({ plan, transcript, deal, piece, join, check, ephemeral }: OpenedSeal): "holder" | "dealer" {
  const { keys, dealers } = plan.body;
  const named = deal.body.pieces.find(({ box, role }) => box === join.by && role === "holder")?.hash;
  if (named !== pieceHash(plan.site, piece)) return "dealer";
  const context = reshardPieceContext(plan.site, statementHash(plan), deal.by, join.by, "holder");
  let opened: Uint8Array | undefined;
  try {
    opened = openByEphemeral(bytesOf(ephemeral), bytesOf(join.body.key), bytesOf(piece.enc), context, context, bytesOf(piece.ct));
    if (opened.length !== 32 * keys.length + 16) return "dealer";
    const content = opened;
    const terms = keys.map(({ key }, i) => ({ matrix: expandMatrix(bytesOf(transcript), key), share: content.slice(32 * i, 32 * i + 32) }));
    const value = holderValue(terms, content.slice(32 * keys.length));
    const published = check.body.holder?.values[dealers.findIndex(({ box }) => box === deal.by)] ?? "";
    return equalBytes(value, bytesOf(published)) ? "dealer" : "holder";
  } catch {
    return "dealer"; // not the scalar of this seal, or nothing that opens: it signed a piece of noise
  } finally {
    wipe(opened);
  }
}
