import { text } from "node:stream/consumers";
import { runCli } from "../../provisioning/cli.ts";

/*
 * Many command lines of `shardkeep` in one process, for what needs none of its own: on stdin the list of their arguments,
 * on stdout what each ended with.
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

const ended = [];
for (const args of JSON.parse(await text(process.stdin)) as string[][]) ended.push(await captured(args));
process.stdout.write(JSON.stringify(ended));
