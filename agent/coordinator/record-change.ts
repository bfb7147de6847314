import type { UsePart } from "../protocol/messages.ts";
import type { ApprovalFields, Use } from "../protocol/request.ts";
import { recordHashOf, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { judgeAsked, type Judged } from "../rules/judge.ts";
import { judgeProposal } from "../rules/record-step.ts";
import { Refusal } from "../rules/refusal.ts";
import type { Fleet } from "./fleet.ts";
import { Operation } from "./operation.ts";
import type { CoordinatorParts } from "./parts.ts";

export interface AskedChange {
  readonly use: Use;
  readonly body: SiteRecordBody;
  readonly client: string;
  readonly onPart: (part: UsePart) => void;
}

/**
 * One change of the sealed site record (protocol.md §2): the client brings the next version and commits to its hash, the
 * people of the present one approve it, and it is adopted here before any box hears of it.
 */
export class RecordChange {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #asked: AskedChange;
  readonly #fields: ApprovalFields;
  readonly #judged: Judged;
  #adoption: Promise<SiteRecord> | undefined;

  /** What boxes would refuse is refused before anybody is bothered. Throws Refusal or RecordError. */
  constructor(parts: CoordinatorParts, fleet: Fleet, asked: AskedChange, makeFields: (of: Pick<ApprovalFields, "epoch" | "attempt" | "record">) => ApprovalFields) {
    const { site } = parts;
    const { use, body, client } = asked;
    if (use.by !== client) throw new Refusal("REQUEST_FORGED", `the request is not signed by ${client}`);
    this.#parts = parts;
    this.#fleet = fleet;
    this.#asked = asked;
    this.#fields = makeFields({ epoch: body.version, attempt: 1, record: recordHashOf(site.current, body) });
    this.#judged = judgeAsked(this.#fields, site.current);
    judgeProposal(site.current, this.#fields, body);
  }

  open(): Operation<SiteRecord> {
    const { body, onPart } = this.#asked;
    const fields = this.#fields;
    const { rule, requester } = this.#judged;
    return new Operation<SiteRecord>(this.#parts, this.#fleet, {
      kind: "approve", fields, next: body, rule, requester, onPart,
      make: (evidence) => this.#adoption = this.#parts.site.adopt(body, { fields, evidence: [...evidence] }, (box) => this.#fleet.isQuarantined(box)),
    });
  }

  /** The version, once every box that is there has had its turn. What is being adopted comes into force, deadline or not. */
  async end(operation: Promise<SiteRecord>): Promise<SiteRecord> {
    const record = await operation.catch((error: unknown) => {
      if (this.#adoption === undefined) throw error;
      return this.#adoption;
    });
    await Promise.all([...this.#fleet.announceRecord()].map(async ([box, taken]) => {
      if (await taken) this.#asked.onPart({ state: "taken", box, version: record.body.version });
    }));
    return record;
  }
}
