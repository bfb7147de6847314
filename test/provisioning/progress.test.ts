import { PassThrough } from "node:stream";
import t from "tap";
import type { Progress } from "../../agent/client/index.ts";
import { waiting } from "../../provisioning/progress.ts";

const rule = { key: "payroll", resource: "**", operations: ["decrypt"], require: [{ role: "officer", people: 1 }, { person: "carol" }], requester: "never", confirm: "code", distinctBoxes: true } as const;
const accepted = { state: "accepted", code: "4711", fields: undefined, rule } as unknown as Progress;
const alice = { box: "box-1", person: "alice" };
const story: Progress[] = [
  accepted,
  { state: "waiting", have: [], still: "an officer, carol" },
  { state: "refused-finger", box: "box-2", reason: "unknown-finger" },
  { state: "waiting", have: [alice], still: "carol" },
  { state: "waiting", have: [alice], still: "carol" },
  { state: "waiting", have: [alice, { box: "box-3", person: "carol" }], still: "" },
  { state: "challenged", holders: ["box-1", "box-2"] },
  { state: "answered", box: "box-1" },
  { state: "released", holders: ["box-1", "box-2"] },
];

function told(isTTY: boolean, parts: readonly Progress[]): string {
  const stream = Object.assign(new PassThrough(), { isTTY }) as unknown as NodeJS.WriteStream & PassThrough;
  const shown = waiting(stream);
  for (const part of parts) shown.show(part);
  shown.end();
  return String(stream.read());
}

void t.test("plain lines where nobody watches, each once", (t) => {
  t.equal(told(false, story), [
    "accepted, code 4711",
    "waiting for an officer, carol at any sensor … 0 of 2, code 4711",
    "finger refused at box-2: unknown-finger",
    "waiting for carol at any sensor … 1 of 2, code 4711",
    "approved by alice at box-1, carol at box-3, code 4711",
    "challenging the HSMs of box-1, box-2",
    "shards from box-1, box-2",
    "",
  ].join("\n"));
  t.end();
});

void t.test("a refusal that its name does not explain says what to do", (t) => {
  t.match(told(false, [{ state: "refused-finger", box: "box-1", reason: "no-button" }]), /box-1: no-button: .*its panel is not there; touch at another box/);
  t.match(told(false, [{ state: "refused-finger", box: "box-1", reason: "not-confirmed" }]), /not-confirmed: press the button/);
  t.end();
});

void t.test("one live line on a terminal; the code and refusals stay", (t) => {
  const clear = "\r\x1b[K";
  t.equal(told(true, story.slice(0, 4)), [
    "accepted, code 4711\n",
    "waiting for an officer, carol at any sensor … 0 of 2, code 4711",
    `${clear}finger refused at box-2: unknown-finger\n`,
    "waiting for an officer, carol at any sensor … 0 of 2, code 4711",
    `${clear}waiting for carol at any sensor … 1 of 2, code 4711`,
    "\n",
  ].join(""));
  t.end();
});

void t.test("what comes from elsewhere cannot move the cursor", (t) => {
  t.notMatch(told(false, [accepted, { state: "waiting", have: [], still: "\x1b[2J\r\u202ebob\n" }]), /[\x1b\r\u202e]/u);
  t.end();
});
