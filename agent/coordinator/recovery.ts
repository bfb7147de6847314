import type { z } from "zod";
import type { clientRequests } from "../protocol/messages.ts";
import type { SiteRecordBody } from "../protocol/site-record.ts";
import { isOvertaken } from "../rules/recovery.ts";
import { Refusal } from "../rules/refusal.ts";
import { RecoveryWait } from "../store/recovery-wait.ts";
import type { Fleet } from "./fleet.ts";
import type { CoordinatorParts } from "./parts.ts";

type RecoveryStatus = z.infer<typeof clientRequests["site-recover"]["response"]>;

/** The recovery of a site that lost its administrators, at the coordinator (docs/decisions/0009): shown to every box, each of which counts for itself. */
export class SiteRecovery {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #wait: RecoveryWait;

  constructor(parts: CoordinatorParts, fleet: Fleet) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#wait = new RecoveryWait(parts.site, parts);
    fleet.onHeard(() => { this.#goWithBoxes(); });
  }

  start(): void {
    this.#wait.start();
  }

  stop(): void {
    this.#wait.stop();
  }

  get status(): RecoveryStatus | null {
    return this.#wait.state ?? null;
  }

  /** Who asks does not matter: the cards are the proof. Rejects with RecordError, or WRONG_SITE_RECORD if there is a newer version. */
  async ask(body: SiteRecordBody, recovery: string): Promise<RecoveryStatus> {
    const { site } = this.#parts;
    await site.recover(body, recovery);
    for (const box of this.#fleet.live()) void this.#fleet.offerRecord(box);
    const { status } = this;
    if (status === null) throw new Refusal("WRONG_SITE_RECORD", "another version came into force meanwhile", { retryable: true });
    return status;
  }

  /** We were away longer than they: a veto would come too late for them, and part the site. */
  #goWithBoxes(): void {
    const { site, log } = this.#parts;
    const { awaited } = site;
    if (awaited === undefined) return;
    const { boxes } = site.current.body;
    const there = boxes.filter(({ id }) => this.#fleet.beatOf(id)?.siteRecord?.hash === awaited.hash && !this.#fleet.isQuarantined(id));
    if (!isOvertaken(there.length, boxes.length)) return;
    site.ripen(awaited.hash).catch((error: unknown) => { log.error("site recovery not kept", { error: String(error) }); });
  }
}
