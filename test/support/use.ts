import { runRecordChange } from "../../agent/client/change-record.ts";
import { runReshard, type ReshardAsk, type Resharded } from "../../agent/client/reshard.ts";
import { runUse, type Ask, type Outcome, type Progress, type UseParts } from "../../agent/client/use.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { refOf, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { nextBody, type Edit } from "../../agent/rules/record-edits.ts";
import { operationFor } from "../../agent/rules/record-step.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { coordinatorId, type InProcessSite } from "./in-process-site.ts";

/** What the product's client logic works with, as this client of the site. */
export function partsOf(site: InProcessSite, client: string): UseParts {
  const { exchange, signer } = site.clients.get(client)!;
  return {
    site: "test", client, signer, clock: site.clock, random: systemRandom,
    request: (name, data, options) => exchange.request(clientRequests, name, coordinatorId, data, options),
    boot: () => site.coordinatorSession.certificate.body.boot,
    siteRecord: () => refOf(site.record),
  };
}

/** One use through the product's own client logic; resolves or rejects while the test moves clock and fingers. */
export function use(site: InProcessSite, client: string, ask: Partial<Ask> & Pick<Ask, "operation">, onProgress: (progress: Progress) => void = () => undefined): Promise<Outcome> {
  const outcome = runUse(partsOf(site, client), { key: "payroll", resource: "payroll/march", reason: "test", payload: new Uint8Array(), ...ask }, { onProgress });
  outcome.catch(() => undefined); // its end is looked at later
  return outcome;
}

/** A re-shard that people approve, likewise; by `cli`. */
export function reshard(site: InProcessSite, wanted: ReshardAsk["wanted"], onProgress: (progress: Progress) => void = () => undefined): Promise<Resharded> {
  const outcome = runReshard(partsOf(site, "cli"), { key: "payroll", reason: "test", wanted }, { onProgress });
  outcome.catch(() => undefined);
  return outcome;
}

/** The next version of the site record, likewise. */
export function changeRecord(site: InProcessSite, client: string, edit: Edit, onProgress: (progress: Progress) => void = () => undefined, signal?: AbortSignal): Promise<SiteRecord> {
  const body = nextBody(site.record, edit);
  const change = { operation: operationFor(site.record, body), body, reason: "test" };
  const record = runRecordChange(partsOf(site, client), site.record, change, { onProgress, ...(signal === undefined ? {} : { signal }) });
  record.catch(() => undefined);
  return record;
}

/** The key of most tests: 3 of 5. */
export const birth: Partial<Ask> & Pick<Ask, "operation"> = { operation: "create", create: { kind: "aes-256", threshold: 3, holders: ["box-1", "box-2", "box-3", "box-4", "box-5"], imported: false } };

/** Lets `person` touch at `box` as soon as its sensor waits. */
export async function touch(site: InProcessSite, box: string, finger: string): Promise<void> {
  const { sensor } = site.box(box);
  await site.clock.until(() => sensor.isWaiting, 10_000, `${box} waits for a finger`);
  sensor.touch(finger);
}

/** Moves the clock until the promise settles; gives its value or throws its error. */
export async function finish<T>(site: InProcessSite, promise: Promise<T>, most = 120_000): Promise<T> {
  let settled = false;
  promise.then(() => { settled = true; }, () => { settled = true; });
  await site.clock.until(() => settled, most, "the operation's end");
  return await promise;
}
