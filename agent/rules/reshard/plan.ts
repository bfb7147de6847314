import { keyRecordHash, type KeyRecord } from "../../protocol/key-record.ts";
import type { Member, PlanKey, ReshardPlan } from "../../protocol/reshard.ts";
import type { SiteRecord } from "../../protocol/site-record.ts";
import { Refusal } from "../refusal.ts";
import { forbiddenZone } from "../zones.ts";
import { isPlanned } from "./certificates.ts";
import { isUnproven } from "./proof.ts";

/** The least holders of any epoch: with fewer, no certificate survives one silent box. */
export const leastHolders = 3;
/** How far an attempt may jump: a coordinator that was restored from a backup has forgotten some (protocol.md §7). */
export const mostJump = 1000;

/** What a box knows by itself when it judges a plan. */
export interface PlanJudge {
  readonly box: string;
  readonly siteRecord: SiteRecord;
  readonly isQuarantined: (box: string) => boolean;
  /** The record of the shard that this box serves as *current*; undefined if it holds none of the key. */
  readonly current: (key: string) => KeyRecord | undefined;
  /** The last attempt of the key that this box took part in; 0 if in none. */
  readonly lastAttempt: (key: string) => number;
  /** Whether an attempt on this key is neither settled nor burnt here. */
  readonly isOpen: (key: string) => boolean;
  /** Whether a holder of this key was changed within the window of this box's own clock. */
  readonly changedLately: (key: string) => boolean;
  /** Whether people's evidence for exactly this plan satisfied rule `reshard`. */
  readonly approved: boolean;
}

const refuse = (why: string): Refusal => new Refusal("PLAN_REFUSED", why);
const names = (members: readonly Member[]): Set<string> => new Set(members.map(({ box }) => box));

function requireDistinct(what: string, members: readonly Member[]): void {
  if (names(members).size !== members.length || new Set(members.map(({ x }) => x)).size !== members.length) throw refuse(`a box or an x stands twice among the ${what}`);
}

function sameMember(members: readonly Member[], { box, x }: Member): boolean {
  return members.some((other) => other.box === box && other.x === x);
}

/** How many boxes leave and come; a refresh changes none. */
export function changes(old: readonly { readonly box: string }[], next: readonly { readonly box: string }[]): { readonly leave: number; readonly come: number } {
  const before = new Set(old.map(({ box }) => box));
  const after = new Set(next.map(({ box }) => box));
  return { leave: [...before].filter((box) => !after.has(box)).length, come: [...after].filter((box) => !before.has(box)).length };
}

/** What is wrong with a plan whoever reads it. Throws PLAN_REFUSED. */
function judgeShape(plan: ReshardPlan, { siteRecord, isQuarantined }: PlanJudge): void {
  const { body } = plan;
  if (!isPlanned(plan, siteRecord)) throw refuse("the plan is not signed by the coordinator");
  requireDistinct("dealers", body.dealers);
  requireDistinct("witnesses", body.witnesses);
  requireDistinct("holders", body.holders);
  if (new Set(body.keys.map(({ key }) => key)).size !== body.keys.length) throw refuse("a key stands twice in the plan");
  if (body.dealers.length !== body.threshold) throw refuse(`${body.dealers.length} dealers, not the ${body.threshold} of the old threshold`);
  if (!body.dealers.every((dealer) => sameMember(body.witnesses, dealer))) throw refuse("a dealer is no witness");
  if (isUnproven(plan) && body.keys.length > 1) throw refuse(`${body.witnesses.length} witnesses prove nothing, and an operation proves one key, not ${body.keys.length}`);
  if (body.holders.length < leastHolders || body.holders.length < body.nextThreshold + body.margin) {
    throw refuse(`${body.holders.length} holders are below the floor: ${body.nextThreshold} and a margin of ${body.margin}, at least ${leastHolders}`);
  }
  if (body.holders.length > body.size) throw refuse(`${body.holders.length} holders, more than the ${body.size} that the key shall have`);
  for (const box of new Set([...names(body.witnesses), ...names(body.holders)])) {
    if (!siteRecord.body.boxes.some((known) => known.id === box)) throw refuse(`${box} is no box of this site`);
    if (isQuarantined(box)) throw refuse(`${box} is in quarantine`);
  }
  const zone = forbiddenZone(siteRecord.body, [...names(body.holders)], body.nextThreshold);
  if (zone !== undefined) throw refuse(`zone ${zone} would hold ${body.nextThreshold} shards, which are the key`);
}

/** What an old holder knows about one key. */
function judgeKey(plan: ReshardPlan, planned: PlanKey, current: KeyRecord, judge: PlanJudge): void {
  const { body } = plan;
  const { key } = planned;
  const same = keyRecordHash(current) === planned.previous && planned.epoch === current.epoch + 1 && planned.version === current.version
    && planned.check === current.check && planned.imported === current.imported && body.threshold === current.threshold;
  if (!same) throw refuse(`the plan does not follow the record of ${key} that ${judge.box} serves`);
  if (!body.witnesses.every((witness) => sameMember(current.holders, witness))) throw refuse(`a witness is no holder of ${key}`);
  // To have nothing proven, a coordinator that lies has to cut out whoever could witness; and of those it cuts one a window.
  const silent = isUnproven(plan) ? current.holders.find(({ box }) => names(body.holders).has(box) && !names(body.witnesses).has(box))?.box : undefined;
  if (silent !== undefined) throw refuse(`${silent} holds a shard of ${key}, stays, and is no witness of an attempt that has too few`);
  if (judge.approved) return;
  const { leave, come } = changes(current.holders, body.holders);
  if (body.nextThreshold !== current.threshold || body.size !== current.size || body.margin !== current.margin) throw refuse(`threshold, size and margin of ${key} change only with people's approval`);
  if (leave > 1 || come > 1) throw refuse(`${leave} holders of ${key} leave and ${come} come: by itself a coordinator changes one`);
  if (leave + come > 0 && judge.changedLately(key)) throw refuse(`a holder of ${key} was changed a short time ago`);
}

/**
 * PLAN → JOIN: what the box judges by itself, believing nobody (protocol.md §7, Limits). Throws PLAN_REFUSED;
 * ATTEMPT_OPEN where the certificate of an earlier attempt must be shown first.
 */
export function judgeReshardPlan(plan: ReshardPlan, judge: PlanJudge): void {
  judgeShape(plan, judge);
  const { body } = plan;
  const isWitness = names(body.witnesses).has(judge.box);
  if (!isWitness && !names(body.holders).has(judge.box)) throw new Refusal("NOT_A_HOLDER", `the plan does not name ${judge.box}`);
  for (const planned of body.keys) {
    const { key, attempt } = planned;
    const last = judge.lastAttempt(key);
    if (judge.isOpen(key)) throw new Refusal("ATTEMPT_OPEN", `attempt ${last} for ${key} is neither settled nor burnt at ${judge.box}`, { retryable: true });
    if (attempt <= last || attempt > last + mostJump) throw refuse(`attempt ${attempt} for ${key} does not follow attempt ${last}`);
    const current = judge.current(key);
    if (current !== undefined) judgeKey(plan, planned, current, judge);
    if (isWitness && current === undefined) throw refuse(`${judge.box} holds no shard of ${key} and cannot be its witness`);
  }
}
