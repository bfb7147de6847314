import t from "tap";
import { ReshardError } from "../../agent/coordinator/reshard/approved.ts";
import { exitCodes } from "../../agent/runtime/config.ts";
import { exposureTable, type KeyStatus } from "../../provisioning/exposures.ts";
import { exitCodeFor } from "../../provisioning/output.ts";

const key: KeyStatus = {
  key: "payroll", kind: "aes-256", epoch: 4, threshold: 3, holders: ["box-1"], live: 1, record: "", imported: false, size: 5, reshard: null, held: null, exposures: [],
};

void t.test("what is left of past epochs, software and hardware apart; it counts below the threshold only", (t) => {
  t.strictSame(exposureTable([key]), [], "no past");
  const [, , head, ...rows] = exposureTable([{ ...key, exposures: [
    { epoch: 1, attempt: 2, threshold: 3, open: [], software: 4, hardware: 1 },
    { epoch: 2, attempt: 3, threshold: 3, open: ["box-4", "box-5"], software: 3, hardware: 0 },
    { epoch: 3, attempt: 5, threshold: 3, open: ["box-3", "box-4", "box-5"], software: 2, hardware: 0 },
  ] }]);
  t.strictSame([head, ...rows].map((row) => row?.split(/ {2,}/)), [
    ["KEY", "EPOCH", "ATTEMPT", "NEEDED", "OPEN", "SOFTWARE", "HARDWARE", "EFFECTIVE"],
    ["payroll", "1", "2", "3", "none", "4", "1", "yes"],
    ["payroll", "2", "3", "3", "box-4, box-5", "3", "0", "yes"],
    ["payroll", "3", "5", "3", "box-3, box-4, box-5", "2", "0", "NO"],
  ]);
  t.end();
});

void t.test("a held re-shard is unavailable, like a holder that is away", (t) => {
  t.equal(exitCodeFor(new ReshardError("RESHARD_HELD", "held")), exitCodes.unavailable);
  t.end();
});
