import t from "tap";
import type { z } from "zod";
import { clientRequests, type keyStatus } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const epochs = 20;
const periodMs = 20_000;

async function key(site: InProcessSite): Promise<z.infer<typeof keyStatus>> {
  const { keys } = await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
  return keys[0]!;
}

/** A site with two boxes to spare and a sealed text. */
async function begin(): Promise<{ site: InProcessSite; sealed: Uint8Array; plain: Uint8Array }> {
  const site = await InProcessSite.start({ boxes: 7, people, rules, config: { reshardWindowMs: 0, reshardPeriodMs: periodMs }, reshardWindowMs: 0 });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const plain = new TextEncoder().encode("the key is whole");
  const asked = use(site, "cli", { operation: "encrypt", payload: plain });
  await touch(site, "box-1", "alice");
  return { site, plain, sealed: (await finish(site, asked)).result };
}

void t.test(`${epochs} periods: other holders every time, the key opens after each, no past epoch is exposed`, async (t) => {
  const { site, sealed, plain } = await begin();
  let last = await key(site);
  for (const to = last.epoch + epochs; last.epoch < to;) {
    let now = last;
    while (now.epoch === last.epoch) {
      await site.clock.advance(1000);
      now = await key(site);
    }
    t.equal(now.epoch, last.epoch + 1);
    t.equal(now.holders.length, 5);
    t.ok(now.holders.some((box) => !last.holders.includes(box)), `epoch ${now.epoch} has another holder`);
    const opened = use(site, "cli", { operation: "decrypt", payload: sealed });
    await touch(site, "box-1", "alice");
    t.strictSame((await finish(site, opened)).result, plain);
    last = now;
  }
  await site.clock.advance(5000);
  for (const { epoch, open, threshold } of (await key(site)).exposures) t.ok(open.length < threshold, `epoch ${epoch}`);
});

void t.test("the calendar waits for people who are just touching", async (t) => {
  const { site, sealed, plain } = await begin();
  const before = await key(site);
  const opened = use(site, "cli", { operation: "decrypt", payload: sealed });
  await site.clock.advance(periodMs + 10_000);
  t.equal((await key(site)).epoch, before.epoch, "the period is over, and nobody has touched in vain");
  await touch(site, "box-1", "alice");
  t.strictSame((await finish(site, opened)).result, plain);
  await site.clock.advance(10_000);
  t.equal((await key(site)).epoch, before.epoch + 1);
});
