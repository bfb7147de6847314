import t from "tap";
import type { Log } from "../../agent/runtime/log.ts";
import { RecoveryWait } from "../../agent/store/recovery-wait.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { settle } from "../support/virtual-clock.ts";

const minute = 60_000;
const dayMs = 24 * 60 * minute;

/** A clock whose timers come when the test says, however late. */
class LateClock {
  at = 0.5;
  asked: number | undefined;
  task: () => void = () => undefined;
  now = (): number => this.at;
  wall = (): string => "";
  after = (ms: number, task: () => void): () => void => {
    Object.assign(this, { asked: ms, task });
    return () => { this.asked = undefined; };
  };
  async pass(ms: number): Promise<void> {
    this.at += ms;
    this.task();
    await settle();
  }
}

function begin(disk = memoryDisk(), awaited = { version: 6, hash: "A", delayMs: 7 * dayMs }) {
  const [clock, lines, ripe] = [new LateClock(), [] as string[], [] as string[]];
  let changed: () => void = () => undefined;
  const note = (event: string): void => { lines.push(event); };
  const log: Log = { info: note, warn: note, error: note };
  const keeper = {
    ref: { hash: "before" }, awaited: awaited as typeof awaited | undefined,
    onAwaited: (handler: () => void) => { changed = handler; },
    ripen: (hash: string) => { ripe.push(hash); keeper.ref = { hash }; keeper.awaited = undefined; changed(); return Promise.resolve(); },
  };
  const store = openMemoryStore(disk);
  const wait = new RecoveryWait(keeper, { store, clock, log });
  wait.start();
  return { wait, clock, lines, ripe, keeper, store, disk, tell: () => { changed(); } };
}

void t.test("a week is counted ten minutes at a time, alarmed and durable at each", async (t) => {
  const { wait, clock, lines, store, disk } = begin();
  t.equal(clock.asked, 10 * minute);
  clock.at += 5 * minute;
  t.strictSame(wait.state, { version: 6, hash: "A", leftMs: 7 * dayMs - 5 * minute }, "what is under way is shown, and not kept");
  t.equal(store.head.commit, 0);
  await clock.pass(5 * minute);
  t.strictSame([store.head.commit, lines, wait.state?.leftMs], [1, ["site recovery pending", "site recovery pending"], 7 * dayMs - 10 * minute]);
  t.equal(begin(disk).wait.state?.leftMs, 7 * dayMs - 10 * minute, "another life goes on");
  t.equal(begin(disk, { version: 6, hash: "B", delayMs: 7 * dayMs }).wait.state?.leftMs, 7 * dayMs, "of another version it says nothing");
});

void t.test("a process that stood still for a day has waited for one step", async (t) => {
  const { wait, clock } = begin();
  clock.at += dayMs;
  t.equal(wait.state?.leftMs, 7 * dayMs - 10 * minute);
  await clock.pass(0);
  t.equal(wait.state?.leftMs, 7 * dayMs - 10 * minute);
});

void t.test("a short delay in tenths, to its end", async (t) => {
  const { wait, clock, lines, ripe, tell } = begin(memoryDisk(), { version: 6, hash: "A", delayMs: 1005 });
  for (let i = 0; i < 9; i++) await clock.pass(101);
  t.strictSame([clock.asked, ripe], [1005 - 9 * 101, []]);
  await clock.pass(96);
  t.strictSame([ripe, wait.state, lines.at(-1), clock.asked], [["A"], undefined, "site recovery in force", undefined]);
  tell();
  t.equal(lines.filter((line) => line === "site recovery in force").length, 1);
});

void t.test("a veto ends it, and a stop says nothing", async (t) => {
  const vetoed = begin();
  vetoed.keeper.awaited = undefined;
  vetoed.tell();
  t.strictSame([vetoed.lines.at(-1), vetoed.wait.state, vetoed.clock.asked], ["site recovery vetoed", undefined, undefined]);
  const stopped = begin();
  stopped.wait.stop();
  t.strictSame([stopped.lines, stopped.wait.state, stopped.clock.asked], [["site recovery pending"], undefined, undefined]);
});
