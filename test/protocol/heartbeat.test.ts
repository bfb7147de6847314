import t from "tap";
import { inventoryHash, probeMessage, type Holding } from "../../agent/protocol/heartbeat.ts";
import { filled } from "../rules/support/site.ts";

const holding: Holding = { key: "payroll", epoch: 1, attempt: 1, record: filled(32, 2), state: "current" };

void t.test("an inventory is of one site, one box and one list, in its order", (t) => {
  const of = (site: string, box: string, ...holdings: Holding[]): string => inventoryHash(site, box, holdings);
  const other: Holding = { ...holding, epoch: 2 };
  const hashes = [of("demo", "box-1", holding), of("demo", "box-1"), of("demo", "box-2", holding), of("other", "box-1", holding), of("demo", "box-1", holding, other), of("demo", "box-1", other, holding), of("demo", "box-1", { ...holding, state: "next" })];
  t.equal(new Set(hashes).size, hashes.length);
  t.equal(of("demo", "box-1", holding), "2izHWJCxJyMSY5B6Pcq9-QZdqh-n4qCrcM2zrDfekso", "as boxes of every version compute it");
  t.end();
});

void t.test("what an HSM MACs for a probe, byte by byte: never what it MACs for a challenge", (t) => {
  const text = (words: string): string => Buffer.from(words).toString("hex");
  t.equal(Buffer.from(probeMessage("s", filled(16, 1), "b")).toString("hex"), [
    "7300000012", text("shardkeep/v1/probe"), "7300000001", text("s"), "6f00000002",
    "7300000003", text("box"), "7300000001", text("b"), "7300000005", text("nonce"), "7300000016", text("AQEBAQEBAQEBAQEBAQEBAQ"),
  ].join(""));
  t.end();
});
