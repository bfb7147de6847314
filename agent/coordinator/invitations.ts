import { frame, invitationContext, invitationId, joinAsk, openFrame, sealFrame, secretLength, writeCode, type JoinReply } from "../protocol/invitation.ts";
import type { BoxAnswer, BoxRequest } from "../protocol/joining.ts";
import { seal } from "../protocol/seal.ts";
import { statementHash } from "../protocol/statement.ts";
import type { Sealed } from "../protocol/primitives.ts";
import { judgeBoxRequest } from "../rules/joining.ts";
import { bytesOf, toBase64url, utf8 } from "../runtime/encoding.ts";
import { isNamed, ShardkeepError } from "../runtime/errors.ts";
import { secretBytes, wipe } from "../runtime/secrets.ts";
import type { CoordinatorParts } from "./parts.ts";

export class InviteError extends ShardkeepError<"JOIN_OFF" | "NAME_TAKEN" | "TOO_MANY_INVITATIONS"> {}

const mostOpen = 16;

interface Open {
  readonly id: string;
  readonly box: string;
  readonly secret: Uint8Array<ArrayBuffer>;
  readonly end: () => void;
  /** The one request that this code is for, once it has come: another one would be of somebody else. */
  request?: BoxRequest;
  answer?: BoxAnswer;
}

/** The codes that are out. Of this life only: after a restart the tech asks for another one. */
export class Invitations {
  readonly #parts: Pick<CoordinatorParts, "config" | "site" | "clock" | "random" | "log">;
  readonly #open = new Map<string, Open>();

  constructor(parts: Pick<CoordinatorParts, "config" | "site" | "clock" | "random" | "log">) {
    this.#parts = parts;
  }

  /** A new code for `box`, sealed to `recipient` (65 bytes); one that was out for it is worth nothing from now on. Throws JOIN_OFF, NAME_TAKEN. */
  invite(box: string, forMs: number, recipient: string): Sealed {
    const { config, site, clock, random, log } = this.#parts;
    if (config.join === undefined) throw new InviteError("JOIN_OFF", "this coordinator takes no boxes over the network", { remedy: "`join: {listen: {host, port}}` in its configuration, or by file: `shardkeep box request`" });
    const { body } = site.current;
    const kind = site.kindOf(box);
    // A box of this site may ask again, with the key that it has: its answer was lost.
    if ((kind !== undefined && kind !== "box") || body.retired?.includes(box) === true) throw new InviteError("NAME_TAKEN", `${box} is a name of this site already`, { remedy: "give the new box another name" });
    this.end(box);
    if (this.#open.size >= mostOpen) throw new InviteError("TOO_MANY_INVITATIONS", `${mostOpen} codes are out`, { retryable: true, remedy: "wait for one to be used, or to end" });
    const secret = secretBytes(secretLength);
    secret.set(random.bytes(secretLength));
    const code = utf8(writeCode(body.authority, secret));
    try {
      const { enc, ct } = seal(bytesOf(recipient), invitationContext(config.site, box), new Uint8Array(0), code);
      const id = invitationId(secret);
      this.#open.set(id, { id, box, secret, end: clock.after(forMs, () => { this.end(box); }) });
      log.info("box invited", { box, forMs });
      return { enc: toBase64url(enc), ct: toBase64url(ct) };
    } finally {
      wipe(code);
    }
  }

  /** Ends the code that is out for `box`, if one is. */
  end(box: string): void {
    const one = this.#of(box);
    if (one === undefined) return;
    one.end();
    wipe(one.secret);
    this.#open.delete(one.id);
  }

  /** What has come from the box that has the code. */
  requestOf(box: string): BoxRequest | undefined {
    return this.#of(box)?.request;
  }

  /** The site's answer to the very request that came is handed out to who asks again. */
  answered(answer: BoxAnswer): void {
    const one = this.#of(answer.body.box);
    if (one?.request !== undefined) one.answer = answer;
  }

  /** A line of whoever is out there; undefined where there is nothing to say to a stranger. */
  hear(line: string): string | undefined {
    const { config, random, log } = this.#parts;
    const outer = frame.safeParse(parsed(line));
    const one = outer.success ? this.#open.get(outer.data.id) : undefined;
    if (outer.data === undefined || one === undefined) return undefined;
    try {
      const reply = this.#reply(one, openFrame(one.secret, config.site, "ask", outer.data));
      return JSON.stringify(sealFrame(one.secret, config.site, "reply", random.bytes(12), reply));
    } catch (error) {
      log.warn("join refused", { box: one.box, error: String(error) });
      return undefined;
    }
  }

  #reply(one: Open, content: unknown): JoinReply {
    const { log, site } = this.#parts;
    try {
      const { request } = joinAsk.parse(content);
      judgeBoxRequest(request, site.current);
      if (request.by !== one.box) throw new InviteError("NAME_TAKEN", `this code is for ${one.box}, not for ${request.by}`, { remedy: "mend `box` in the configuration" });
      if (one.request !== undefined && statementHash(one.request) !== statementHash(request)) throw new InviteError("NAME_TAKEN", "this code was used by another box", { remedy: "ask for a new code, and look who used this one" });
      if (one.request === undefined) log.info("box asks to join", { box: one.box });
      one.request = request;
      return one.answer === undefined ? { state: "waiting" } : { state: "answered", answer: one.answer };
    } catch (error) {
      log.warn("join refused", { box: one.box, error: String(error) });
      return { state: "refused", code: isNamed(error) ? error.code : "REQUEST_INVALID", message: (error instanceof Error ? error.message : String(error)).slice(0, 500) };
    }
  }

  #of(box: string): Open | undefined {
    return [...this.#open.values()].find((one) => one.box === box);
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
