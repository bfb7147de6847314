import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { root } from "#paths";
import { scenarios } from "../../provisioning/demo/scenarios/index.ts";

const documents = ["README.md", "CONTRIBUTING.md", ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];
const textOf = (name: string): string => readFileSync(join(root, name), "utf8");

void t.test("every file that a document names is there", (t) => {
  for (const name of documents) {
    for (const [, path = ""] of textOf(name).matchAll(/`((?:agent|firmware-bridge|provisioning|test|systemd|docs)\/[\w./-]+)`/g)) t.ok(existsSync(join(root, path)), `${name}: ${path}`);
    for (const [, link = ""] of textOf(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) t.ok(existsSync(join(root, name, "..", link)), `${name}: ${link}`);
  }
  t.end();
});

void t.test("each safe line of the threat model names a test file or a scenario that there is", (t) => {
  const rows = textOf("docs/threat-model.md").split("\n").filter((line) => line.startsWith("| ") && !/^\| (?:safe|---)/.test(line));
  const names = new Set(scenarios.map(({ name }) => name));
  t.ok(rows.length > 10);
  for (const row of rows) {
    const shows = [...(row.split("|").at(-2) ?? "").matchAll(/`([^`]+)`/g)].map(([, one = ""]) => one);
    t.ok(shows.length > 0, row);
    for (const one of shows) t.ok(one.startsWith("test/") ? existsSync(join(root, one)) : names.has(one), one);
  }
  t.end();
});
