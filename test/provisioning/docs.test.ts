import { readFileSync } from "node:fs";
import t from "tap";
import { z } from "zod";
import { root } from "#paths";
import { boxConfig } from "../../agent/box/config.ts";
import { clientConfig } from "../../agent/client/index.ts";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { rule, sitePolicy } from "../../agent/protocol/site-record.ts";
import { hsmConfig } from "../../agent/hsm/client.ts";
import { boxAnswers, siteAnswers } from "../../provisioning/machine/answers.ts";
import { exitCodes, parseYaml } from "../../agent/runtime/config.ts";

const text = readFileSync(`${root}docs/configuration.md`, "utf8");

/** The YAML block that begins with `# name`. */
function example(name: string): string {
  return new RegExp(`\`\`\`yaml\\n# ${name.replace(".", "\\.")}\\n([^]*?)\`\`\``).exec(text)?.[1] ?? "";
}

function section(title: string): string {
  return new RegExp(`\\n## ${title}\\n([^]*?)(?=\\n## |$)`).exec(text)?.[1] ?? "";
}

void t.test("the examples are valid", (t) => {
  for (const [name, schema] of [["coordinator.yaml", coordinatorConfig], ["box.yaml", boxConfig], ["client.yaml", clientConfig], ["policy.yaml", sitePolicy], ["plant.answers.yaml", siteAnswers], ["box-1.answers.yaml", boxAnswers]] as [string, z.ZodType][]) {
    t.ok(parseYaml(example(name), schema, name), name);
  }
  t.end();
});

void t.test("every key is in its table, with its default", (t) => {
  const shapes: [string, string, z.ZodObject][] = [
    ["Coordinator", "", coordinatorConfig], ["Box", "", boxConfig], ["Box", "sensor.", boxConfig.shape.sensor], ["HSM", "", hsmConfig], ["Client", "", clientConfig],
    ["Answers", "", siteAnswers], ["Answers", "", boxAnswers], ["Policy", "", sitePolicy], ["Policy", "rules[].", rule],
  ];
  for (const [title, prefix, schema] of shapes) for (const [key, field] of Object.entries(schema.shape)) {
    const row = section(title).split("\n").find((line) => line.startsWith("|") && new RegExp(`\`${(prefix + key).replaceAll(/[[\].]/g, "\\$&")}[\`.[]`).test(line));
    t.ok(row, `${title}: ${prefix}${key}`);
    if (field instanceof z.ZodDefault) t.ok(row?.includes(String(field.def.defaultValue)), `${title}: default of ${key}`);
  }
  t.end();
});

void t.test("every exit code is listed", (t) => {
  for (const code of Object.values(exitCodes)) t.match(section("Exit codes"), new RegExp(`^\\| ${code} \\|`, "m"));
  t.end();
});
