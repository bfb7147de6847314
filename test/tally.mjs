import { Parser } from "tap-parser";

/**
 * Counts what a test file tells on `stream` (TAP 14) and prints every failure with where and why. Leaves are counted, as
 * tap does; and a test that failed although no assertion in it did (it ran out of time, had no test) is one failure
 * more, which tap's own total leaves out.
 */
export async function tally(stream, file, print) {
  const total = { passed: 0, failed: 0, skipped: [] };
  const parser = new Parser();
  watch(parser, total, (result) => { print(failure(file, result)); }, file);
  for await (const chunk of stream) parser.write(chunk);
  parser.end();
  return total;
}

function watch(parser, total, tell, file) {
  let before; // the failures when the subtest under way began; undefined between subtests
  parser.on("child", (child) => {
    before = total.failed;
    watch(child, total, tell, file);
  });
  parser.on("assert", (result) => {
    const noTests = result.skip === "no tests found";
    if ((result.skip || result.todo) && !noTests) {
      total.skipped.push(`${file} > ${result.fullname}: ${[result.skip, result.todo].find((reason) => typeof reason === "string") ?? "no reason given"}`);
    } else if (!result.ok || noTests) {
      if (before === undefined || before === total.failed) {
        total.failed += 1;
        tell(result);
      }
    } else if (before === undefined) {
      total.passed += 1;
    }
    before = undefined;
  });
}

function failure(file, { fullname, diag, skip }) {
  const { at, diff, stack, found, wanted, message } = diag ?? {};
  const lines = [
    `FAILED ${file} > ${fullname}${typeof skip === "string" ? `: ${skip}` : ""}`,
    at && `at ${at.fileName}:${at.lineNumber}`,
    message,
    diff ?? (wanted === undefined && found === undefined ? undefined : `wanted ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`),
    stack,
  ];
  return lines.filter((line) => line !== undefined).join("\n").trimEnd().replaceAll("\n", "\n    ");
}
