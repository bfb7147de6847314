import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import type { Member, ReshardPlan } from "../../agent/protocol/reshard.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import type { Invariants } from "./invariants.ts";
import type { Prng } from "./prng.ts";
import { siteName } from "./site.ts";
import { coordinatorId } from "./world.ts";

type Body = ReshardPlan["body"];

/** A plan like the coordinator's own next one, and then one thing about it is wrong. Undefined if there is none to make. */
export function roguePlan(random: Prng, invariants: Invariants): Promise<ReshardPlan> | undefined {
  const { observed, site: { world } } = invariants;
  const { key } = random.pick(world.weather.keys)!;
  const record = invariants.recordOf(key);
  if (record === undefined) return undefined;
  const known = [...observed.attempts.values()].flatMap(({ plan }) => plan.body.keys).filter((one) => one.key === key).map(({ attempt }) => attempt);
  const last = Math.max(1, ...known);
  const members = record.holders.map(({ box, x }) => ({ box, x }));
  const spares = world.weather.boxes.filter((box) => !members.some((one) => one.box === box));
  const body: Body = {
    keys: [{ key, version: record.version, epoch: record.epoch + 1, attempt: last + 1, previous: keyRecordHash(record), check: record.check, imported: record.imported }],
    kind: "aes-256", threshold: record.threshold, nextThreshold: record.threshold, size: record.size, margin: record.margin,
    dealers: members.slice(0, record.threshold), witnesses: members, holders: members, reason: "order", request: null,
  };
  const wrong = random.pick(random.chance(0.1) ? timely : wrongs)!(body, { random, record, members, spares, last });
  const { signers } = world.machine(coordinatorId).token;
  // Now and then it is not even the coordinator's: any client could have signed it.
  const signer = random.chance(0.1) ? signers.get("authority")! : signers.get("identity")!;
  return signStatement(signer, "reshard-plan", siteName, coordinatorId, { ...body, ...wrong });
}

interface Facts { readonly random: Prng; readonly record: KeyRecord; readonly members: readonly Member[]; readonly spares: readonly string[]; readonly last: number }
type Wrong = (body: Body, facts: Facts) => Partial<Body>;

const first = ({ keys }: Body) => keys[0]!;
const freeX = (members: readonly Member[]): number => Array.from({ length: 255 }, (_, i) => i + 1).find((x) => !members.some((one) => one.x === x))!;

/** Each breaks one limit of protocol.md §7. */
const wrongs: readonly Wrong[] = [
  (_body, { members, spares }) => {
    // Two leave, and two come if they are there.
    const stay = members.slice(2);
    const come = spares.slice(0, 2).map((box, i) => ({ box, x: 200 + i }));
    return { holders: [...stay, ...come] };
  },
  ({ threshold }, { members }) => ({ holders: members.slice(0, threshold) }),
  ({ threshold }) => ({ nextThreshold: threshold + 1 }),
  ({ threshold }) => ({ nextThreshold: Math.max(2, threshold - 1) }),
  (_body, { members }) => ({ size: members.length + 1 }),
  ({ threshold }, { members }) => ({ witnesses: members.slice(0, threshold) }),
  (body, { last }) => ({ keys: [{ ...first(body), attempt: last }] }),
  (body, { last }) => ({ keys: [{ ...first(body), attempt: last + 2000 }] }),
  (body) => ({ keys: [{ ...first(body), previous: toBase64url(new Uint8Array(32)) }] }),
  (body) => ({ keys: [{ ...first(body), epoch: first(body).epoch + 1 }] }),
  (_body, { members }) => ({ dealers: [...members] }),
  (_body, { members }) => ({ holders: members.map(({ box }) => ({ box, x: 7 })) }),
  ({ margin }, { members }) => ({ margin: margin === 0 ? 1 : 0, holders: members.slice(1) }),
];

/** What a box may join if the time is right, and is then bound by. */
const timely: readonly Wrong[] = [
  (_body, { members, random }) => ({ holders: members.filter((one) => one !== members[random.int(members.length)]) }),
  (_body, { members, spares }) => {
    const [spare] = spares;
    return spare === undefined ? {} : { holders: [...members.slice(1), { box: spare, x: freeX(members) }] };
  },
  () => ({}),
];
