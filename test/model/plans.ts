import { generateSigner } from "../../agent/protocol/es256.ts";
import { keyRecordHash, type KeyRecord } from "../../agent/protocol/key-record.ts";
import type { Member, ReshardPlan } from "../../agent/protocol/reshard.ts";
import type { SiteRecord } from "../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import type { Setting } from "./settings.ts";

/** The signed plans of a setting, the records that they start from and make, and the site that they are made for. */
export interface Paper {
  readonly key: string;
  readonly siteRecord: SiteRecord;
  /** Record 0 is the old epoch's, record p+1 is made by plan p. */
  readonly records: readonly KeyRecord[];
  readonly plans: readonly ReshardPlan[];
}

const site = "model";
const key = "k";
const filled = (byte: number): string => toBase64url(new Uint8Array(32).fill(byte));
export const boxName = (box: number): string => `box-${box}`;
const member = (box: number): Member => ({ box: boxName(box), x: box });

/** Real plans, so that the product's own `judgeReshardPlan` answers a box's question whether to join. */
export async function writePaper({ boxes, old, threshold, plans }: Setting): Promise<Paper> {
  const coordinator = generateSigner();
  const siteRecord = await signStatement(coordinator, "site-record", site, "coordinator", {
    version: 1, previous: null, sealed: true, authority: coordinator.publicKey, tlsAuthority: filled(1),
    coordinator: { id: "coordinator", key: coordinator.publicKey },
    boxes: Array.from({ length: boxes }, (_, i) => ({ id: boxName(i + 1), zone: "here", key: coordinator.publicKey })),
    people: [], clients: [], roles: [], rules: [],
  });
  const common = { kind: "aes-256" as const, threshold, size: Math.max(...plans.map(({ holders }) => holders.length), old.length), margin: 1 };
  const asRecord = (holders: readonly number[], epoch: number, attempt: number, plan: string, previous: string | null): KeyRecord => ({
    ...common, site, key, version: 1, epoch, attempt, plan, previous, check: filled(2), imported: null,
    holders: holders.map((box) => ({ ...member(box), digest: filled(3) })),
  });
  const records = [asRecord(old, 1, 1, filled(4), null)];
  const signed: ReshardPlan[] = [];
  for (const { number, previous, holders, witnesses } of plans) {
    const before = records[previous]!;
    const hash = keyRecordHash(before);
    const plan = await signStatement(coordinator, "reshard-plan", site, "coordinator", {
      ...common, nextThreshold: threshold, reason: "period" as const, request: null,
      keys: [{ key, version: 1, epoch: before.epoch + 1, attempt: number + 1, previous: hash, check: filled(2), imported: null }],
      dealers: witnesses.slice(0, threshold).map(member), witnesses: witnesses.map(member), holders: holders.map(member),
    });
    signed.push(plan);
    records.push(asRecord(holders, before.epoch + 1, number + 1, statementHash(plan), hash));
  }
  return { key, siteRecord, records, plans: signed };
}
