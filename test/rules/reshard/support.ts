import { generateSigner } from "../../../agent/protocol/es256.ts";
import type { Join, KeyRecord, SealedStatement } from "../../../agent/protocol/key-record.ts";
import { keyRecordHash } from "../../../agent/protocol/key-record.ts";
import { participantsOf, type BatchActivated, type BatchBurn, type BatchPrepared, type BatchResolved, type Member, type PlanKey, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../../agent/protocol/reshard.ts";
import type { SiteRecord } from "../../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { piecesOf } from "../../../agent/rules/reshard/deal.ts";
import { body as siteBody, filled, keys as siteKeys } from "../support/site.ts";

export { filled };
export const boxIds = Array.from({ length: 9 }, (_, i) => `box-${i + 1}`);
export const keys = { ...siteKeys, ...Object.fromEntries(boxIds.map((id) => [id, generateSigner()])) };
export const record: SiteRecord = await signStatement(keys["authority"]!, "site-record", "demo", "coordinator", {
  ...siteBody, boxes: boxIds.map((id) => ({ id, zone: "here", key: keys[id]!.publicKey })),
});

export const member = (n: number, x = n): Member => ({ box: `box-${n}`, x });
export const members = (...ns: readonly number[]): Member[] => ns.map((n) => member(n));

/** The record that is re-sharded: payroll, 3 of 5, epoch 4. */
export const makeCurrent = (change: Partial<KeyRecord> = {}): KeyRecord => ({
  site: "demo", key: "payroll", kind: "aes-256", version: 1, epoch: 4, attempt: 6, threshold: 3, size: 5, margin: 1,
  holders: members(1, 2, 3, 4, 5).map((one) => ({ ...one, digest: filled(32, one.x) })),
  check: filled(32, 50), plan: filled(32, 51), previous: filled(32, 52), imported: null, ...change,
});
export const planKeyOf = (current: KeyRecord, attempt = current.attempt + 1): PlanKey => ({
  key: current.key, version: current.version, epoch: current.epoch + 1, attempt, previous: keyRecordHash(current), check: current.check, imported: current.imported,
});
export const current = makeCurrent();
export const refresh: ReshardPlan["body"] = {
  keys: [planKeyOf(current)], kind: "aes-256", threshold: 3, nextThreshold: 3, size: 5, margin: 1,
  dealers: members(1, 2, 3), witnesses: members(1, 2, 3, 4, 5), holders: members(1, 2, 3, 4, 5), reason: "period", request: null,
};
type Change<B> = Partial<B>;
const by = <T extends string, B>(type: T, site: string, who: string, body: B, signer: string) => signStatement(keys[signer]!, type, site, who, body);

export const makePlan = (change: Change<ReshardPlan["body"]> = {}, who = "coordinator", signer = who, site = "demo"): Promise<ReshardPlan> => by("reshard-plan", site, who, { ...refresh, ...change }, signer);
export const makeJoin = (plan: ReshardPlan, who: string, change: Change<Join["body"]> = {}, signer = who): Promise<Join> =>
  by("join", "demo", who, { plan: statementHash(plan), key: keys["stranger"]!.publicKey, ...change }, signer);
export const joinsOf = (plan: ReshardPlan): Promise<Join[]> => Promise.all(participantsOf(plan).map((box) => makeJoin(plan, box)));
export const makeDeal = (plan: ReshardPlan, who: string, change: Change<ReshardDeal["body"]> = {}, signer = who): Promise<ReshardDeal> =>
  by("reshard-deal", "demo", who, { plan: statementHash(plan), pieces: piecesOf(plan).map((one, i) => ({ ...one, hash: filled(32, i) })), ...change }, signer);
export const makeSealed = (transcript: string, who: string, signer = who): Promise<SealedStatement> => by("sealed", "demo", who, { transcript }, signer);
export const makeCheck = (who: string, body: ReshardCheck["body"], signer = who): Promise<ReshardCheck> => by("reshard-check", "demo", who, body, signer);
export const makePrepared = (plan: ReshardPlan, batch: string, who: string, change: Change<BatchPrepared["body"]> = {}, signer = who, site = "demo"): Promise<BatchPrepared> =>
  by("batch-prepared", site, who, { plan: statementHash(plan), batch, ...change }, signer);
export const makeActivated = (plan: ReshardPlan, batch: string, who: string, change: Change<BatchActivated["body"]> = {}, signer = who, site = "demo"): Promise<BatchActivated> =>
  by("batch-activated", site, who, { plan: statementHash(plan), batch, ...change }, signer);
export const makeBurn = (plan: ReshardPlan, who: string, change: Change<BatchBurn["body"]> = {}, signer = who, site = "demo"): Promise<BatchBurn> =>
  by("batch-burn", site, who, { plan: statementHash(plan), ...change }, signer);
export const makeResolved = (plan: ReshardPlan, who: string, change: Change<BatchResolved["body"]> = {}, signer = who, site = "demo"): Promise<BatchResolved> =>
  by("batch-resolved", site, who, { plan: statementHash(plan), gone: ["box-5"], holds: "old" as const, ...change }, signer);
