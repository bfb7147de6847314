import t from "tap";
import { convictionWindowMs, mayConvict } from "../../agent/rules/conviction.ts";

const verdict = (at: number) => ({ at, tampered: false });
const tamper = (at: number) => ({ at, tampered: true });

void t.test("our own verdict: one within the window, so that a sick coordinator convicts nobody else", (t) => {
  t.ok(mayConvict([], verdict(0), 5));
  t.notOk(mayConvict([verdict(0)], verdict(convictionWindowMs - 1), 5));
  t.ok(mayConvict([verdict(0)], verdict(convictionWindowMs), 5));
  t.ok(mayConvict([tamper(0)], verdict(1), 5), "what a box said of itself is no verdict of ours");
  t.end();
});

void t.test("what boxes say of themselves: up to a minority at once", (t) => {
  t.ok(mayConvict([tamper(0)], tamper(1), 5));
  t.notOk(mayConvict([tamper(0), tamper(0)], tamper(1), 5));
  t.ok(mayConvict([tamper(0), tamper(0)], tamper(convictionWindowMs), 5));
  t.ok(mayConvict([tamper(0)], tamper(1), 4), "half is no majority");
  t.ok(mayConvict([verdict(0), verdict(0)], tamper(1), 5));
  t.notOk(mayConvict([], tamper(0), 1));
  t.end();
});
