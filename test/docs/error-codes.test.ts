import { readFileSync } from "node:fs";
import t from "tap";
import { root } from "#paths";
import { errorCodes, logEvents, productSources } from "../support/sources.ts";

const text = readFileSync(`${root}docs/operations.md`, "utf8");
const sources = productSources();

/** The cells of the rows of every table in the section called `title`. */
function rows(title: string): string[][] {
  const section = text.split(/^## /m).find((one) => one.startsWith(`${title}\n`)) ?? "";
  return section.split("\n").filter((line) => line.startsWith("| `")).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const unquoted = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);

void t.test("every error code stands in docs/operations.md once, and no other", (t) => {
  const documented = rows("Error codes").flatMap(([codes]) => unquoted(codes)).sort();
  t.same(documented, [...errorCodes(sources).keys()].sort());
  t.end();
});

void t.test("what may be retried is what the code says", (t) => {
  const documented = rows("Error codes").filter(([, , , again]) => again !== "no").flatMap(([codes]) => unquoted(codes)).sort();
  t.same(documented, [...errorCodes(sources)].filter(([, { retryable }]) => retryable).map(([code]) => code).sort());
  t.end();
});

void t.test("every log line stands in docs/operations.md, and no other", (t) => {
  const documented = rows("Log lines").flatMap(([events]) => unquoted(events)).sort();
  t.same(documented, [...logEvents(sources)].sort());
  t.end();
});
