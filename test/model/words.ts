import type { Box } from "./box.ts";
import { honestBoxes, type Setting } from "./settings.ts";
import { certificates, has, type Action, type State, type World } from "./world.ts";

const letter = (plan: number): string => String.fromCharCode(65 + plan);
const recordName = (record: number): string => (record === 0 ? "the old epoch's shard" : `${letter(record - 1)}'s shard`);

const said = {
  "join": "is shown", "prepare": "gets all CHECKs of", "activate": "is shown P of", "burn": "is ordered to burn", "settle": "is shown D of", "bury": "is shown the BURN certificate of",
} as const;
const driven = {
  "plan": "plans", "prepared-by-all": "has P, and shows it, of", "failed": "gives up, or crashes in, and orders to burn", "activated-enough": "has D, and shows it, of",
  "prepared-unproven": "has P, and does not show it, of", "proved": "has PROVED, and shows it with P, of", "burnt-enough": "has the BURN certificate, and shows it, of",
} as const;

const isDriven = (event: Action["event"]): event is keyof typeof driven => event in driven;

/** One step as a sentence. */
export function describe({ roster, setting }: World, { actor, event, plan }: Action, before: State, after: State): string {
  if (event === "restart") return `box ${honestBoxes(setting)[actor]!} crashes and comes back`;
  if (isDriven(event)) return `the coordinator ${driven[event]} ${letter(plan)}`;
  const [was, is] = [roster.box(before.boxes[actor]!), roster.box(after.boxes[actor]!)];
  const stage = `${was.stages[plan]!} → ${is.stages[plan]!}`;
  return `box ${honestBoxes(setting)[actor]!} ${said[event]} ${letter(plan)}: ${stage}${shelfChange(was, is)}`;
}

function shelfOf({ current, old, next }: Box): string {
  return Object.entries({ current, old, next }).filter(([, record]) => record >= 0).map(([place, record]) => `${place} ${recordName(record)}`).join(", ");
}

function shelfChange(was: Box, is: Box): string {
  const now = shelfOf(is);
  return shelfOf(was) === now ? "" : `; it has ${now === "" ? "no shard" : now}`;
}

/** What the plans are, who has what, and which certificates exist. */
export function picture({ roster, setting }: World, { boxes, plans }: State): string[] {
  return [
    ...plansOf(setting),
    ...honestBoxes(setting).map((name, i) => `box ${name}: ${shelfOf(roster.box(boxes[i]!)) || "no shard"}; ${roster.box(boxes[i]!).stages.map((stage, plan) => `${letter(plan)} ${stage}`).join(", ")}`),
    ...(setting.liar === null ? [] : [`box ${setting.liar}: lies`]),
    `certificates: ${plans.flatMap((plan, p) => certificates.filter((one) => has(plan, one)).map((one) => `${one} of ${letter(p)}`)).join(", ") || "none"}`,
  ].map((line) => `  ${line}`);
}

function plansOf({ plans, threshold }: Setting): string[] {
  return plans.map(({ number, previous, holders }, plan) =>
    `${letter(plan)}: attempt ${number}, re-shards ${previous === 0 ? "the old epoch" : letter(previous - 1)}, new holders ${holders.join(" ")}, threshold ${threshold}`);
}
