import t from "tap";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";

const parse = (change: object) => coordinatorConfig.safeParse({ site: "demo", state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" }, ...change });

void t.test("a box cannot be lost before those that were cut off with it are suspect", (t) => {
  t.ok(parse({ suspectMs: 7500 }).success);
  t.match(parse({ suspectMs: 7501 }).error?.issues, [{ path: ["lostMs"], message: "at least twice suspectMs" }]);
  t.ok(parse({ suspectMs: 7501, lostMs: 15_002 }).success);
  t.end();
});
