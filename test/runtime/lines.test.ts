import { connect } from "node:net";
import t from "tap";
import { askLine, serveLines } from "../../agent/runtime/lines.ts";

void t.test("one line there, one line back", async (t) => {
  const heard: string[] = [];
  const server = await serveLines({ host: "127.0.0.1", port: 0, mostLength: 1000, answer: (line) => { heard.push(line); return line === "silence" ? undefined : `you said ${line}`; } });
  t.teardown(() => server.close());
  const ask = (line: string): Promise<string> => askLine("127.0.0.1", server.port, line, 2000);
  t.strictSame(await Promise.all(["a", "ä".repeat(400)].map(ask)), ["you said a", `you said ${"ä".repeat(400)}`]);
  await t.rejects(ask("silence"), { code: "LINE_UNANSWERED", retryable: true });
  heard.length = 0;
  await t.rejects(ask("x".repeat(5000)), { code: "LINE_UNANSWERED" }, "longer than is read");
  await t.rejects(askLine("127.0.0.1", server.port, "y".repeat(900), 100), { code: "LINE_UNANSWERED" }, "an answer that is longer than is wanted");
  t.strictSame(heard.map((line) => line[0]), ["y"]);

  const half = connect(server.port, "127.0.0.1").on("error", () => undefined);
  half.write("no end");
  t.equal(await ask("b"), "you said b", "one who does not end their line holds nobody up");
  half.destroy();
  t.equal(await ask("c"), "you said c");
  await server.close().then(() => t.pass());
  await t.rejects(ask("d"), { code: "LINE_UNANSWERED" }, "nobody there");
});
