import { z } from "zod";
import { readEnvelope, type Reader } from "../protocol/envelope.ts";
import { refOf, siteRecord, type SiteRecord, type SiteRecordRef } from "../protocol/site-record.ts";
import { verifyStatement } from "../protocol/statement.ts";
import { random128 } from "../protocol/primitives.ts";

/** Where messages carry a site record; the rest of them is not looked at here. */
const carrier = z.object({
  body: z.object({ data: z.union([z.object({ record: siteRecord }), z.object({ value: z.object({ record: siteRecord }) }).transform(({ value }) => value)]) }),
});
const helloAnswer = z.object({ value: z.object({ nonce: random128 }) });

function json(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
}

/**
 * What a client believes of its site. It pins one key, the authority's; everything else it takes from a site
 * record, and a record proves itself, whoever relays it (protocol.md §1). So each message is first asked for a
 * record that it carries, and only then read as an envelope, under the coordinator's key of that record: the
 * answer to `hello` brings the very key that it is signed with.
 */
export class SiteView {
  readonly #site: string;
  readonly #authority: string;
  readonly #coordinator: string;
  #current: SiteRecord | undefined;
  #forged = false;

  constructor(site: string, authority: string, coordinator: string) {
    this.#site = site;
    this.#authority = authority;
    this.#coordinator = coordinator;
  }

  get record(): SiteRecord | undefined {
    return this.#current;
  }

  get ref(): SiteRecordRef | undefined {
    return this.#current === undefined ? undefined : refOf(this.#current);
  }

  /** Whether a record was offered that the authority has not signed for this site. */
  get wasOfferedForgery(): boolean {
    return this.#forged;
  }

  /** The identity key of the coordinator; nobody else talks to clients. */
  keyOf(sender: string): string | undefined {
    const coordinator = this.#current?.body.coordinator;
    return sender === this.#coordinator && coordinator?.id === sender ? coordinator.key : undefined;
  }

  /** Takes a newer record out of a message. A sealed one is never followed by one that is not (protocol.md §2). */
  learn(payload: Uint8Array): void {
    const carried = carrier.safeParse(json(payload));
    if (!carried.success) return;
    const { record } = carried.data.body.data;
    const { body } = record;
    if (body.authority !== this.#authority || !verifyStatement(record, this.#site, this.#authority)) {
      this.#forged = true;
      return;
    }
    const known = this.#current?.body;
    if (known !== undefined && (body.version <= known.version || (known.sealed && !body.sealed))) return;
    this.#current = record;
  }
}

/** The session that answered a `hello` with our nonce; null for any other message. */
export function bootOfHello(payload: Uint8Array, nonce: string, reader: Reader): string | null {
  try {
    const { body, cert } = readEnvelope(payload, reader);
    const answer = helloAnswer.safeParse(body.data);
    return body.type === "response/hello" && answer.success && answer.data.value.nonce === nonce ? cert.body.boot : null;
  } catch {
    return null;
  }
}
