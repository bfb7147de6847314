import t from "tap";
import { admit, type LimitState } from "../../agent/rules/limit.ts";

void t.test("a limit", async (t) => {
  let state: LimitState | undefined;
  for (let i = 0; i < 3; i++) {
    const next = admit("3/minute", state, 1000);
    t.ok(next, `release ${i + 1}`);
    state = next ?? state;
  }
  t.equal(admit("3/minute", state, 1000), null, "the fourth is refused");
  t.equal(admit("3/minute", state, 57_000), null, "until the window has passed");
  t.strictSame(admit("3/minute", state, 58_000), { windowMs: 0, count: 1 });
  t.equal(admit("3/minute", { windowMs: 30_000, count: 3 }, 0), null, "a restart opens no window: time off counts as none");
});
