import t from "tap";
import { SeenMessages } from "../../agent/mqtt/seen.ts";
import { approvalWindowMs } from "../../agent/protocol/nonces.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const answer = Uint8Array.of(1, 2, 3);

void t.test("a message is new once within the window, and comes again with its answer", async (t) => {
  const clock = new VirtualClock();
  const seen = new SeenMessages(clock);
  t.strictSame(seen.note("m"), { state: "new" });
  t.strictSame(seen.note("m"), { state: "again", answer: undefined });
  seen.keepAnswer("m", answer);
  seen.keepAnswer("unknown", answer);
  await clock.advance(approvalWindowMs);
  t.strictSame(seen.note("other"), { state: "new" });
  t.strictSame(seen.note("m"), { state: "again", answer });
  t.strictSame(seen.note("unknown"), { state: "new" }, "an answer alone is no memory of a message");
  await clock.advance(1);
  t.strictSame(seen.note("third"), { state: "new" });
  t.strictSame(seen.note("m"), { state: "new" }, "after it the nonce is stale: the exchange refuses by that");
  t.strictSame(seen.note("other"), { state: "again", answer: undefined }, "what is younger stays");
});

void t.test("only the last 256 answers are kept, the messages all", async (t) => {
  const seen = new SeenMessages(new VirtualClock());
  for (let i = 0; i <= 256; i++) {
    seen.note(`m${i}`);
    seen.keepAnswer(`m${i}`, answer);
  }
  t.strictSame(seen.note("m0"), { state: "again", answer: undefined });
  t.strictSame(seen.note("m1"), { state: "again", answer });
  t.strictSame(seen.note("m256"), { state: "again", answer });
});

void t.test("a full memory refuses what is new, knows what it has, and opens with time", async (t) => {
  const clock = new VirtualClock();
  const seen = new SeenMessages(clock);
  for (let i = 0; i < 16_383; i++) seen.note(`m${i}`);
  t.strictSame(seen.note("last"), { state: "new" });
  t.strictSame(seen.note("one more"), { state: "full" });
  t.strictSame(seen.note("one more"), { state: "full" }, "and does not remember it");
  t.strictSame(seen.note("m0"), { state: "again", answer: undefined });
  await clock.advance(approvalWindowMs + 1);
  t.strictSame(seen.note("one more"), { state: "new" });
});
