import { isDeepStrictEqual } from "node:util";
import t from "tap";
import { flippedJoin, stretches } from "../support/flipped-join.ts";

void t.test("whichever byte of a join is another one, it is a named error and no change", async (t) => {
  const [here, other] = await Promise.all([flippedJoin(), flippedJoin()]);
  t.teardown(() => Promise.all([here.close(), other.close()]));
  const before = await here.box();
  // A line without its end is waited for until the connection is idle for too long: real seconds, so beside the others.
  const end = here.lengths().up - 1;
  const endless = other.flipped(end);
  for (const stretch of stretches) {
    here.begin(stretch);
    const changed: number[] = [];
    let at = 0;
    let ended = "NOBODY_ANSWERS";
    for (; ended === "NOBODY_ANSWERS"; at++) {
      if (stretch === "up" && at === end) continue;
      if (!isDeepStrictEqual([here.heardOf(), await here.box()], [stretch === "up" ? undefined : here.request, before])) changed.push(at - 1);
      ended = await here.flipped(at);
    }
    t.same([ended, at - 1], stretch === "answered" ? ["joined", here.lengths().down] : ["WAITING", stretch === "up" ? end + 1 : here.lengths().down], `${stretch}: every byte, and then a whole one`);
    t.same(changed, [], `${stretch}: nothing changed here or there, nor was the code used up`);
  }
  t.equal(await endless, "NOBODY_ANSWERS");
  t.match(await here.box(), { secret: true, certificate: true }, "the same code was good to the end, and once");
  t.same([...new Set(here.logged)].sort(), ["box asks to join", "box invited", "join refused"]);
  for (const stretch of ["answered", "up"] as const) {
    here.begin(stretch);
    const ends = new Set<string>();
    for (let at = 0; at < here.lengths()[stretch === "up" ? "up" : "down"] - 1; at += 97) ends.add(await here.flipped(at, "once"));
    t.same([...ends], ["joined"], `${stretch}: whoever meddles once has the box ask once more`);
  }
});
