import { Parser } from "tap-parser";

/**
 * Counts what tap tells on `stream` (TAP 14) and prints a line a file, and every failure with where and
 * why. Leaves are counted, as tap does; and a test or file that failed although no assertion in it did (it
 * crashed, was killed, ran out of time, had no test) is one failure more, which tap's own total leaves out.
 */
export async function tally(stream, print) {
  const total = { passed: 0, failed: 0, skipped: [] };
  const parser = new Parser();
  watch(parser, total, print, 0);
  for await (const chunk of stream) parser.write(chunk);
  parser.end();
  return total;
}

function watch(parser, total, print, depth) {
  let before; // the totals when the subtest under way began; undefined between subtests
  parser.on("child", (child) => {
    before = { passed: total.passed, failed: total.failed };
    watch(child, total, print, depth + 1);
  });
  parser.on("assert", (result) => {
    const noTests = result.skip === "no tests found";
    if ((result.skip || result.todo) && !noTests) {
      total.skipped.push(`${result.fullname}: ${[result.skip, result.todo].find((reason) => typeof reason === "string") ?? "no reason given"}`);
    } else if (!result.ok || noTests) {
      if (before === undefined || before.failed === total.failed) {
        total.failed += 1;
        print(failure(result));
      }
    } else if (before === undefined) {
      total.passed += 1;
    }
    if (depth === 0) print(summary(result, total, before));
    before = undefined;
  });
}

function summary(result, total, before) {
  const failed = total.failed - (before?.failed ?? 0);
  const counts = `${total.passed - (before?.passed ?? 0)} passed${failed === 0 ? "" : `, ${failed} failed`}`;
  return `${failed === 0 ? "ok    " : "FAILED"} ${result.name}  ${counts}, ${Math.round(result.time ?? 0)} ms`;
}

function failure({ fullname, diag, skip }) {
  const { at, diff, stack, found, wanted, exitCode, signal, message } = diag ?? {};
  const lines = [
    `FAILED ${fullname}${typeof skip === "string" ? `: ${skip}` : ""}`,
    at && `at ${at.fileName}:${at.lineNumber}`,
    message,
    diff ?? (wanted === undefined && found === undefined ? undefined : `wanted ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`),
    signal ? `ended by ${signal}` : exitCode ? `ended with exit ${exitCode}` : undefined,
    stack,
  ];
  return lines.filter((line) => line !== undefined).join("\n").trimEnd().replaceAll("\n", "\n    ");
}
