import t from "tap";
import { LineSupervisor, type Connected } from "../../../firmware-bridge/serial/supervisor.ts";
import { ManualClock } from "../support/manual-clock.ts";

class Fake implements Connected {
  readonly closed: Promise<void>;
  end: () => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => { this.end = resolve; });
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }
}

void t.test("every connection is a new one; tries back off and start afresh after a success", async (t) => {
  const clock = new ManualClock();
  const tries: number[] = [];
  const ups: Fake[] = [];
  const downs: unknown[] = [];
  const nothing = new Error("nothing there");
  await new Promise<void>((resolve) => {
    const supervisor = new LineSupervisor<Fake>({
      clock,
      connect: () => {
        tries.push(clock.now());
        return tries.length === 4 || tries.length === 6 ? Promise.resolve(new Fake()) : Promise.reject(nothing);
      },
      onUp: (connection) => {
        ups.push(connection);
        if (ups.length === 2) void supervisor.stop().then(resolve);
        else connection.end();
      },
      onDown: (reason) => { downs.push(reason); },
    });
    supervisor.start();
  });
  t.same(tries, [0, 250, 750, 1750, 2000, 2500], "250, 500, 1000 ms, then 250 again");
  t.not(ups[0], ups[1]);
  t.same(downs.slice(0, 5), [nothing, nothing, nothing, undefined, nothing]);
  await ups[1]!.closed;
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  t.equal(tries.length, 6, "stopped means stopped");
});

void t.test("the wait is never longer than ten seconds", async (t) => {
  const clock = new ManualClock();
  const tries: number[] = [];
  await new Promise<void>((resolve) => {
    const supervisor = new LineSupervisor<Fake>({
      clock,
      connect: () => {
        tries.push(clock.now());
        if (tries.length === 12) void supervisor.stop().then(resolve);
        return Promise.reject(new Error("nothing"));
      },
      onUp: () => undefined,
      onDown: () => undefined,
    });
    supervisor.start();
  });
  t.equal(tries.at(-1)! - tries.at(-2)!, 10_000);
});
