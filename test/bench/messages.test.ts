import t from "tap";
import { countMessages } from "./messages.ts";

void t.test("a batch is as many messages for four keys as for one: to and from everybody, or every dealer, at every step", async (t) => {
  const one = await countMessages({ t: 3, n: 5 }, 1);
  const four = await countMessages({ t: 3, n: 5 }, 4);
  // 4 boxes are left: JOIN, SEALED, CHECK, PREPARED, ACTIVATED, DESTROYED of each, 3 deals; a request and an answer.
  t.equal(one.messages, 2 * (6 * 4 + 3));
  t.equal(four.messages, one.messages);
  t.ok(four.bytes > one.bytes && four.largestBytes > one.largestBytes && four.largestBytes < four.bytes);
});
