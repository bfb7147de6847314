import t from "tap";
import { InUse } from "../../agent/coordinator/in-use.ts";

void t.test("a key is in use until the last of its operations has ended, well or not", async (t) => {
  const inUse = new InUse();
  const ends: (() => void)[] = [];
  const operation = (): Promise<void> => inUse.during("payroll", () => new Promise((resolve) => { ends.push(resolve); }));
  const [first, second] = [operation(), operation()];
  t.equal(inUse.has("payroll"), true);
  t.equal(inUse.has("backup"), false);
  ends[0]?.();
  await first;
  t.equal(inUse.has("payroll"), true);
  ends[1]?.();
  await second;
  t.equal(inUse.has("payroll"), false);
  await t.rejects(inUse.during("payroll", () => Promise.reject(new Error("refused"))), { message: "refused" });
  t.equal(inUse.has("payroll"), false);
});
