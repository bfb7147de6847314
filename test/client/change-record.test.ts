import t from "tap";
import { runRecordChange } from "../../agent/client/change-record.ts";
import type { Request } from "../../agent/client/client.ts";
import type { Progress } from "../../agent/client/use.ts";
import type { ApprovalFields, Use } from "../../agent/protocol/request.ts";
import { refOf, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { nextBody } from "../../agent/rules/record-edits.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { body, boot, keys, makeApprovalFields, record, signRecord } from "../rules/support/site.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

interface Lies { readonly fields?: (honest: ApprovalFields) => ApprovalFields; readonly body?: (honest: SiteRecordBody) => SiteRecordBody; readonly silent?: true }

/** One change at a coordinator that does what it should but for its lies. */
async function change(lies: Lies = {}): Promise<{ outcome: Promise<SiteRecord>; cancelled: () => number; progress: Progress[] }> {
  const progress: Progress[] = [];
  let cancelled = 0;
  const request = (async (name: string, data: { use: Use; body: SiteRecordBody }, options: { onPart: (part: unknown) => void }) => {
    if (name === "cancel") { cancelled += 1; return {}; }
    const fields = { ...await makeApprovalFields(), use: data.use, record: data.use.body.commitment };
    if (lies.silent !== true) options.onPart({ state: "accepted", fields: lies.fields?.(fields) ?? fields, rule: body.rules[0] });
    options.onPart({ state: "taken", box: "box-1", version: 6 });
    await new Promise((resolve) => { setImmediate(resolve); });
    return { record: await signRecord(lies.body?.(data.body) ?? data.body) };
  }) as unknown as Request;
  const outcome = runRecordChange({
    site: "demo", client: "cli", signer: keys["cli"]!, request, clock: new VirtualClock(), random: systemRandom, boot: () => boot, siteRecord: () => refOf(record),
  }, record, { operation: "record", body: nextBody(record, (one) => ({ ...one, roles: ["officer", "auditor"] })), reason: "test" }, { onProgress: (one) => { progress.push(one); } });
  await outcome.catch(() => undefined);
  return { outcome, cancelled: () => cancelled, progress };
}

void t.test("the version that was asked for comes back, or nothing", async (t) => {
  const honest = await change();
  t.strictSame((await honest.outcome).body.roles, ["officer", "auditor"]);
  t.strictSame(honest.progress.map(({ state }) => state), ["accepted", "taken"]);
  const cases: readonly (readonly [string, Lies, string])[] = [
    ["another version", { body: (one) => ({ ...one, roles: ["officer", "king"] }) }, "REQUEST_CHANGED"],
    ["another request was accepted", { fields: (one) => ({ ...one, use: { ...one.use, body: { ...one.use.body, reason: "other" } } }) }, "REQUEST_CHANGED"],
    ["by another session", { fields: (one) => ({ ...one, coordinator: { id: "coordinator", boot: "A".repeat(22) } }) }, "COORDINATOR_CHANGED"],
    ["under another version", { fields: (one) => ({ ...one, siteRecord: { ...one.siteRecord, version: 4 } }) }, "RECORD_UNKNOWN"],
    ["never accepted", { silent: true }, "NOT_ACCEPTED"],
  ];
  const ends = await Promise.all(cases.map(async ([what, lies]) => [what, await change(lies)] as const));
  for (const [i, [what, { outcome }]] of ends.entries()) await t.rejects(outcome, { code: cases[i]![2] }, what);
  t.ok(ends[1]![1].cancelled() > 0, "and the coordinator hears that nobody waits");
});
