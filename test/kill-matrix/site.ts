import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { z } from "zod";
import type { Ask } from "../../agent/client/index.ts";
import type { clientRequests } from "../../agent/protocol/messages.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { DemoError } from "../../provisioning/demo/process.ts";
import { ProcessSite } from "../../provisioning/demo/process-site.ts";
import { waitUntil } from "../../provisioning/demo/wait.ts";
import { inspected, type Inspected } from "./inspect.ts";
import { pointsOf, type Point } from "./point.ts";
import { orderFile, passedFile } from "./watched.ts";

export const threshold = 3;
export const boxes = ["box-1", "box-2", "box-3", "box-4", "box-5"];
/** The key that is re-sharded, and one that must live through every new seal generation unharmed. */
const resharded = "payroll";
export const keys = [resharded, "ledger"];
export const parties = ["coordinator", ...boxes];

type Status = z.infer<typeof clientRequests.status.response>;

const plain = new TextEncoder().encode("the key is whole");
const ask = { resource: "matrix", reason: "kill matrix" };
const rule = { resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };

/** Long enough for a machine that does other work as well. */
const patienceMs = 180_000;

export class MatrixError extends Error {}

/**
 * A 3-of-5 site of processes with two keys. Silence of a few seconds is a loss: a party that is restarted at once
 * may still be cut out for it, and is then a spare that is taken back. Both ways must end well.
 */
export class MatrixSite extends ProcessSite {
  readonly #sealed = new Map<string, Uint8Array>();

  constructor() {
    super({
      boxes, boxEntry: "test/kill-matrix/box.js", coordinatorEntry: "test/kill-matrix/coordinator.js",
      box: { heartbeatMs: 1000, reshardWindowMs: 0 },
      coordinator: { heartbeatMs: 1000, suspectMs: 4000, lostMs: 10_000, probeMs: 4000, steadyMs: 500, flapWindowMs: 1000, reshardWindowMs: 0, reshardStepMs: 5000, operationMs: 60_000 },
    });
  }

  /** Two keys and something sealed under each; the site is stopped afterwards, and kept as it is now. */
  async build(): Promise<void> {
    await this.provision();
    await this.startBoxes();
    await this.client.request("person-enrol", { person: "alice", finger: "index", box: "box-1", roles: ["officer"] });
    const rules = keys.map((key) => ({ key, ...rule }));
    await this.client.request("site-apply", { policy: { roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }], clients: [], rules } as never });
    await this.client.request("site-seal", {});
    await this.boxesReady();
    for (const key of keys) {
      await this.client.use({ ...ask, key, operation: "create", payload: new Uint8Array(), create: { kind: "aes-256", threshold, holders: boxes, imported: false } });
      await this.quiet();
      const { result } = await this.client.use({ ...ask, key, operation: "encrypt", payload: plain });
      this.#sealed.set(key, result);
    }
    await this.stopAll();
    this.snapshot();
  }

  async up(): Promise<void> {
    await this.startCoordinator();
    await this.startBoxes();
    await this.quiet();
  }

  /** The points of one re-shard in which nobody dies; counted again if the machine was too slow for its first attempt. */
  async count(tries = 5): Promise<Point[]> {
    await this.quiet();
    this.#forgetPassed();
    await this.reshard();
    await this.quiet();
    const points = this.#passed(false);
    if (points.every(({ call }) => call !== "commit burning")) return points;
    if (tries <= 1) throw new MatrixError("no re-shard without a failed attempt: the machine is too slow");
    return await this.count(tries - 1);
  }

  /** The points of an attempt that is burnt, from when the coordinator is there again. */
  async countBurnt(): Promise<Point[]> {
    await this.quiet();
    await this.spoil();
    this.#forgetPassed();
    await this.revive("coordinator");
    await this.quiet();
    return this.#passed(true);
  }

  /** Orders a re-shard in which the coordinator dies before P is durable, though all have prepared. It stays dead. */
  async spoil(): Promise<void> {
    this.arm({ party: "coordinator", when: "before", call: "commit certified", nth: 1, burnt: false }, "SIGKILL");
    void this.reshard().catch(() => undefined);
    await this.reached("coordinator");
  }

  async reshard(): Promise<void> {
    await this.client.request("key-reshard", { key: resharded }, { deadlineMs: patienceMs });
  }

  arm({ party, when, call, nth }: Point, signal: "SIGKILL" | "SIGSTOP"): void {
    writeFileSync(orderFile(this.configOf(party)), JSON.stringify({ when, call, nth, signal }));
  }

  /** Until the party has come to the point for which it is armed. */
  async reached(party: string): Promise<void> {
    await this.#until("the point is reached", () => Promise.resolve(existsSync(orderFile(this.configOf(party))) ? "it is not" : null));
  }

  /** The same in an attempt that is being burnt: false if all of it is over and the party never came there. */
  async reachedOrOver(party: string): Promise<boolean> {
    const isReached = (): boolean => !existsSync(orderFile(this.configOf(party)));
    await this.#until("the point is reached, or passed by", async () => (isReached() ? null : unquiet(await this.client.request("status", {}))));
    return isReached();
  }

  /** Takes away what a point that was never reached has left. */
  disarm(): void {
    for (const party of parties) rmSync(orderFile(this.configOf(party)), { force: true });
  }

  /** Starts a party that was killed; once more if it does not come up, as the service manager would. */
  async revive(party: string): Promise<void> {
    const start = async (): Promise<void> => {
      if (party === "coordinator") {
        await this.stopCoordinator();
        await this.startCoordinator();
      } else {
        await this.kill(party);
        await this.startBox(party);
      }
    };
    await start().catch(start);
  }

  async epoch(): Promise<number> {
    let epoch = 0;
    await this.#until(`the coordinator knows ${resharded}`, async () => {
      const { keys: known } = await this.client.request("status", {});
      epoch = known.find(({ key }) => key === resharded)?.epoch ?? 0;
      return epoch > 0 ? null : "it does not";
    });
    return epoch;
  }

  /** Both keys open what was sealed before the first re-shard, and at least t boxes have a shard of each that is good. */
  async requireWhole(): Promise<void> {
    for (const key of keys) {
      await this.#until(`${key} opens`, async () => {
        const { result } = await this.client.use({ ...ask, key, operation: "decrypt", payload: this.#sealed.get(key) ?? new Uint8Array() } satisfies Ask);
        return Buffer.compare(result, plain) === 0 ? null : "it opens something else";
      });
    }
    await this.#until(`${threshold} good shards of each key`, async () => {
      const status = await this.client.request("status", {});
      const found = await this.inspectAll();
      const most = Math.max(...found.map(({ sealKeys }) => sealKeys.length));
      if (most > 2) throw new MatrixError(`${most} seal keys in one HSM`);
      const few = status.keys.filter(({ key, record }) => found.filter(({ shards }) => shards.some((one) => one.key === key && one.record === record && one.state !== "retired" && one.good)).length < threshold);
      return few.length === 0 ? null : `too few of ${few.map(({ key }) => key).join(" and ")}`;
    });
  }

  /** Every shard that is there is good, nothing else is left, and each HSM has the one seal key. */
  async requireClean(): Promise<void> {
    const found = await this.inspectAll();
    found.forEach(({ shards, generation, sealKeys }, i) => {
      const box = boxes[i] ?? "";
      if (sealKeys.length !== 1 || sealKeys[0] !== generation) throw new MatrixError(`${box} is at seal generation ${generation} and its HSM has ${sealKeys.join(", ")}`);
      const bad = shards.filter((one) => !one.good || one.state !== "current");
      if (bad.length > 0 || shards.length !== keys.length) throw new MatrixError(`${box} holds ${JSON.stringify(shards)}`);
    });
  }

  async inspectAll(): Promise<Inspected[]> {
    return await Promise.all(boxes.map(async (box) => {
      const process = this.processes.get(box);
      if (process === undefined) throw new MatrixError(`${box} does not run`);
      const from = process.lines.length;
      globalThis.process.kill(process.pid, "SIGUSR2");
      return inspected.parse(JSON.parse((await process.line(/^inspected /, from)).slice("inspected ".length)));
    }));
  }

  /** Nothing of any re-shard is left to do: all five hold, nothing is exposed, nothing is on its way. */
  async quiet(): Promise<void> {
    await this.#until("nothing is left to do", async () => unquiet(await this.client.request("status", {})));
  }

  #forgetPassed(): void {
    for (const party of parties) rmSync(passedFile(this.configOf(party)), { force: true });
  }

  #passed(burnt: boolean): Point[] {
    const lines = (party: string): string[] => {
      const file = passedFile(this.configOf(party));
      return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
    };
    // All boxes can come to the same points. Those that are slow may be shown a certificate and leave some out.
    const all = boxes.map(lines).sort((a, b) => b.length - a.length)[0] ?? [];
    return [...pointsOf("coordinator", burnt, lines("coordinator")), ...boxes.flatMap((box) => pointsOf(box, burnt, all))];
  }

  /** Asks until it is null; a refusal on the way is a reason to ask again, and is told if it stays. */
  async #until(what: string, ask: () => Promise<string | null>): Promise<void> {
    let why = "never asked";
    try {
      await waitUntil(what, patienceMs, async () => {
        try {
          why = await ask() ?? "";
        } catch (error) {
          if (!isNamed(error)) throw error;
          why = error.toString();
        }
        return why === "";
      }, 200);
    } catch (error) {
      throw error instanceof DemoError ? new MatrixError(`${what}: not within ${patienceMs / 1000} s: ${why}`) : error;
    }
  }
}

function unquiet({ hold, boxes: states, keys: all }: Status): string | null {
  const away = states.filter(({ state }) => state !== "ready").map(({ box, state }) => `${box} is ${state}`);
  const busy = all.flatMap(({ key, reshard, held, holders, exposures }) => [
    ...(reshard === null ? [] : [`${key} is ${reshard}`]),
    ...(held === null ? [] : [`${key} is held: ${held}`]),
    ...(holders.length === boxes.length ? [] : [`${key} is at ${holders.join(" ")}`]),
    ...exposures.filter(({ open }) => open.length > 0).map(({ epoch, attempt, open, threshold: t }) => `epoch ${epoch}, attempt ${attempt} of ${key} is open at ${open.join(" ")}${open.length < t ? "" : ": EXPOSED"}`),
  ]);
  const left = [...(hold === null ? [] : [`held: ${hold}`]), ...away, ...busy];
  return left.length === 0 ? null : left.join("; ");
}
