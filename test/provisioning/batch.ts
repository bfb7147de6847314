import { text } from "node:stream/consumers";
import { runCli } from "../../provisioning/cli.ts";
import { differences, tree, type Tree } from "./tree.ts";

/*
 * Many command lines of `shardkeep` in one process, for what needs none of its own: on stdin the list of their arguments,
 * on stdout what each ended with, and what it changed below the folder that is the argument, if one is.
 */
async function captured(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  const streams = ["stdout", "stderr"] as const;
  const real = { stdout: process.stdout.write.bind(process.stdout), stderr: process.stderr.write.bind(process.stderr) };
  for (const name of streams) {
    process[name].write = (part: string | Uint8Array) => {
      said[name] += typeof part === "string" ? part : Buffer.from(part).toString();
      return true;
    };
  }
  try {
    return { code: await runCli(args), ...said };
  } finally {
    for (const name of streams) process[name].write = real[name];
  }
}

const [, , watched = ""] = process.argv;
const look = (): Tree => (watched === "" ? [] : tree(watched, true));
const ended = [];
let before = look();
for (const args of JSON.parse(await text(process.stdin)) as string[][]) {
  const one = await captured(args);
  const after = look();
  ended.push({ ...one, changed: differences(before, after) });
  before = after;
}
process.stdout.write(JSON.stringify(ended));
