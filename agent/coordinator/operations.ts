import type { Approval } from "../protocol/approval.ts";
import type { Evidence } from "../protocol/evidence.ts";
import type { UsePart } from "../protocol/messages.ts";
import { keyRecordHash, type KeyRecord } from "../protocol/key-record.ts";
import type { Sealed } from "../protocol/primitives.ts";
import { isOfRecord, requestDigest, type ApprovalFields, type RecoverParameters, type ReshardParameters, type Use } from "../protocol/request.ts";
import type { ReshardPlan } from "../protocol/reshard.ts";
import type { SiteRecord, SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash, verifyStatement } from "../protocol/statement.ts";
import { requireFitting } from "../rules/judge.ts";
import { ruleFor } from "../rules/policy.ts";
import { Refusal } from "../rules/refusal.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { giveBirth, planBirth } from "./birth.ts";
import { operationError } from "./failures.ts";
import type { Fleet } from "./fleet.ts";
import type { InUse } from "./in-use.ts";
import type { KeyShelf } from "./key-shelf.ts";
import { Operation, type Shared, type UseResult } from "./operation.ts";
import type { CoordinatorParts } from "./parts.ts";
import { RecordChange } from "./record-change.ts";
import type { Resharder } from "./reshard/resharder.ts";
import { SiteError } from "./site-keeper.ts";

/** Operations at once: each has an enclave process. */
const mostOperations = 32;
/** Request ids are remembered for the life of this session; a client binds each to one of its nonces. */
const mostRequests = 100_000;

export class BusyError extends ShardkeepError<"TOO_MANY_OPERATIONS" | "REQUEST_REPEATED" | "UNKNOWN_REQUEST"> {}

/** Takes requests from clients, decides what can be decided before anybody is bothered, and runs them. */
export class Operations {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #resharder: Resharder;
  readonly #inUse: InUse;
  readonly #running = new Map<string, Pick<Operation, "client" | "payload" | "cancel">>();
  readonly #requests = new Set<string>();
  #starting = 0;

  constructor(parts: CoordinatorParts, fleet: Fleet, keys: KeyShelf, resharder: Resharder, inUse: InUse) {
    this.#inUse = inUse;
    this.#resharder = resharder;
    this.#parts = parts;
    this.#fleet = fleet;
    this.#keys = keys;
  }

  get count(): number {
    return this.#running.size;
  }

  use(use: Use, client: string, onPart: (part: UsePart) => void): Promise<UseResult> {
    return this.#inUse.during(use.body.key, () => this.#run(() => this.#open(use, client, onPart), (operation) => this.#proving(operation)));
  }

  /** The next version of the sealed site record, once its rule `record` is met (protocol.md §2). */
  async changeRecord(use: Use, body: SiteRecordBody, client: string, onPart: (part: UsePart) => void): Promise<SiteRecord> {
    const change = new RecordChange(this.#parts, this.#fleet, { use, body, client, onPart }, (of) => this.#fields(use, of));
    return await change.end(this.#run(() => {
      this.#once(use.body.request);
      return Promise.resolve(change.open());
    }));
  }

  async #run<R>(open: () => Promise<Operation<R>>, ended: (operation: Operation<R>) => Promise<R> = ({ result }) => result): Promise<R> {
    if (this.#running.size + this.#starting >= mostOperations) throw new BusyError("TOO_MANY_OPERATIONS", `${mostOperations} operations are under way`, { retryable: true });
    this.#starting += 1;
    let operation: Operation<R>;
    try {
      operation = await open();
      this.#running.set(operation.request, operation);
      operation.begin();
    } finally {
      this.#starting -= 1;
    }
    try {
      return await ended(operation);
    } finally {
      this.#running.delete(operation.request);
    }
  }

  /** What becomes of an operation on shards that only a use can prove decides about them. */
  async #proving(operation: Operation): Promise<UseResult> {
    try {
      const result = await operation.result;
      await this.#resharder.proofs.proved(operation, result);
      return result;
    } catch (error) {
      await this.#resharder.proofs.failed(operation, error);
      throw error;
    }
  }

  payload(request: string, client: string, payload: Sealed): Promise<void> {
    return this.#of(request, client).payload(payload);
  }

  cancel(request: string, client: string): void {
    this.#of(request, client).cancel();
  }

  #of(request: string, client: string): Pick<Operation, "payload" | "cancel"> {
    const operation = this.#running.get(request);
    if (operation?.client !== client) throw new BusyError("UNKNOWN_REQUEST", "no such request of this client is under way");
    return operation;
  }

  async #open(use: Use, client: string, onPart: (part: UsePart) => void): Promise<Operation> {
    const { site, enclaves } = this.#parts;
    const record = site.current.body;
    const known = record.clients.find((one) => one.id === use.by);
    if (known === undefined || use.by !== client || !verifyStatement(use, site.current.site, known.key)) throw new Refusal("REQUEST_FORGED", `the request is not signed by ${client}`);
    if (!record.sealed) throw new Refusal("NOT_SEALED", "the site record is not sealed: no key is made or used", { remedy: "shardkeep site seal" });
    const { key, operation, resource, create, reshard, recover } = use.body;
    if (isOfRecord(operation)) throw operationError("NOT_PERMITTED", "the site record is changed by `record-change`, which brings the version");
    const rule = ruleFor(record, key, operation, resource);
    if (rule === undefined) throw operationError("NOT_PERMITTED", `no rule lets anybody ${operation} ${resource} with key ${key}`);
    requireFitting(use);
    this.#once(use.body.request);

    const shared = { rule, requester: known.person, onPart };
    if (reshard !== undefined) return await this.#reshard(use, reshard, shared);
    if (recover !== undefined) return this.#recover(use, recover, shared);
    if (create === undefined) {
      const served = this.#resharder.serving(key);
      if (served === undefined) throw operationError("NOT_PERMITTED", `there is no key ${key}`);
      const live = served.holders.filter(({ box }) => this.#fleet.isLive(box)).length;
      if (live < served.threshold) throw operationError("NOT_ENOUGH_HOLDERS", `${live} of ${served.holders.length} holders of ${key} are there, ${served.threshold} are needed`);
      const enclave = await enclaves.take();
      const fields = this.#fields(use, { epoch: served.epoch, attempt: served.attempt, record: keyRecordHash(served), enclave: enclave.keys });
      return new Operation(this.#parts, this.#fleet, { ...shared, kind: "use", fields, enclave, record: served });
    }
    const absent = create.holders.filter((box) => !this.#fleet.isLive(box));
    if (absent.length > 0) throw operationError("NOT_ENOUGH_HOLDERS", `a key is born only with all its holders there; missing: ${absent.join(", ")}`);
    const plan = await planBirth(this.#parts, this.#keys, use.body.request, key, create);
    const enclave = await enclaves.take();
    const fields = this.#fields(use, { epoch: plan.body.epoch, attempt: plan.body.attempt, record: statementHash(plan), enclave: enclave.keys });
    const birth = (evidence: readonly Evidence[]): Promise<UseResult> => giveBirth(this.#parts, this.#keys, plan, fields, evidence, enclave, onPart);
    return new Operation(this.#parts, this.#fleet, { ...shared, kind: "create", fields, enclave, make: birth });
  }

  async #reshard(use: Use, wanted: ReshardParameters, shared: Shared): Promise<Operation> {
    const { key, request } = use.body;
    this.#requireBoxes(wanted.holders ?? []);
    const { approved } = this.#resharder;
    const plan = await approved.plan(key, wanted, request);
    return this.#approve(use, plan, shared, (approval) => approved.carryOut(plan, approval));
  }

  #recover(use: Use, wanted: RecoverParameters, shared: Shared): Operation {
    this.#requireBoxes(wanted.gone);
    const { recoveries } = this.#resharder;
    const plan = recoveries.plan(use.body.key, wanted);
    return this.#approve(use, plan, shared, (approval) => recoveries.carryOut(plan, approval));
  }

  #requireBoxes(named: readonly string[]): void {
    const unknown = named.filter((box) => this.#parts.site.kindOf(box) !== "box");
    if (unknown.length > 0) throw new SiteError("UNKNOWN_BOX", `no boxes of this site: ${unknown.join(", ")}`, { remedy: "`shardkeep status` lists the boxes" });
  }

  /** No holder is challenged: every box judges the evidence in JOIN, before it deals or takes anything, or in RESOLVE (docs/resharding.md). */
  #approve(use: Use, plan: ReshardPlan, shared: Shared, carryOut: (approval: Approval) => Promise<KeyRecord>): Operation {
    const planned = plan.body.keys.find(({ key }) => key === use.body.key);
    const fields = this.#fields(use, { epoch: planned?.epoch ?? 0, attempt: planned?.attempt ?? 0, record: statementHash(plan) });
    const make = async (evidence: readonly Evidence[]): Promise<UseResult> => ({ digest: requestDigest(fields), record: await carryOut({ fields, evidence: [...evidence] }) });
    return new Operation(this.#parts, this.#fleet, { ...shared, kind: "approve", fields, make });
  }

  #once(request: string): void {
    if (this.#requests.has(request)) throw new BusyError("REQUEST_REPEATED", "this request was made before");
    if (this.#requests.size >= mostRequests) throw new BusyError("TOO_MANY_OPERATIONS", "restart the coordinator: its memory of requests is full");
    this.#requests.add(request);
  }

  #fields<Of extends Pick<ApprovalFields, "epoch" | "attempt" | "record">>(use: Use, of: Of): ApprovalFields & Of {
    const { config, session, site } = this.#parts;
    const nonces = this.#fleet.live().sort().flatMap((box) => {
      const nonce = this.#fleet.nonceOf(box);
      return nonce === undefined ? [] : [{ box, nonce }];
    });
    return {
      use, ...of, coordinator: { id: config.coordinator, boot: session.certificate.body.boot },
      siteRecord: site.ref, deadlineMs: config.operationMs, nonces,
    };
  }
}
