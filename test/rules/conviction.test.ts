import t from "tap";
import { convictionWindowMs, mayConvict, stands } from "../../agent/rules/conviction.ts";
import { body } from "./support/site.ts";

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

void t.test("a quarantine stands until a version after it readmits that box", (t) => {
  const readmitting = (version: number) => ({ ...body, boxes: body.boxes.map((box) => (box.id === "box-2" ? { ...box, readmitted: version } : box)) });
  const since = (version: number, box = "box-2") => ({ box, reason: "HSM_COMPROMISED", since: version });
  t.ok(stands(since(5), body));
  t.ok(stands(since(5), readmitting(5)), "readmitted before");
  t.notOk(stands(since(5), readmitting(6)));
  t.ok(stands(since(5, "box-1"), readmitting(6)), "another box");
  t.ok(stands(since(5, "box-9"), readmitting(6)), "one that is not in the record");
  t.end();
});
