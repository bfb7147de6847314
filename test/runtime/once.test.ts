import t from "tap";
import { oncePer } from "../../agent/runtime/once.ts";

void t.test("once for each object, also where there is nothing to give", (t) => {
  const asked: object[] = [];
  const [one, other, nothing] = [{ n: 1 }, { n: 1 }, { n: undefined }];
  const n = oncePer((of: { n: number | undefined }) => { asked.push(of); return of.n; });
  t.strictSame([n(one), n(other), n(one), n(nothing), n(nothing)], [1, 1, 1, undefined, undefined]);
  t.equal(asked.length, 3);
  t.ok([one, other, nothing].every((of, i) => asked[i] === of));
  t.end();
});
