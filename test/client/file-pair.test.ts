import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { acceptClient, admitClient, judgeClientRequest, parseClientAnswer, requestClient } from "../../agent/client/file-pair.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { certifying } from "./certifying.ts";

const noRecord = (): Promise<void> => Promise.resolve();
const files = (folder: string): string[] => readdirSync(folder).map((name) => `${name} ${readFileSync(join(folder, name), "hex")}`).sort();

void t.test("request, entry, answer: no private key leaves the folder, and each can be done twice", async (t) => {
  const folder = join(t.testdir({}), "service");
  const { admin, said } = await certifying("plant");
  const request = await requestClient(folder, "plant", "service");
  t.strictSame(readdirSync(folder).sort(), ["signing.key", "tls.key"]);
  t.strictSame((await requestClient(folder, "plant", "service")).body, request.body, "the same keys");
  t.notMatch(JSON.stringify(request), /PRIVATE/);
  const judged = judgeClientRequest(JSON.parse(JSON.stringify(request)), "plant", "service");
  const answer = await admitClient(admin, judged, "alice", noRecord);
  t.match(said, [["client-approve", { id: "service", person: "alice", admin: false, key: request.body.key }]]);
  const file = acceptClient(folder, parseClientAnswer(JSON.stringify(answer)), fingerprintOf(answer.authority));
  t.match(readFileSync(file, "utf8"), `authority: ${answer.authority}`);
  const before = files(folder);
  t.equal(acceptClient(folder, answer), file, "once more");
  t.strictSame(files(folder), before);
  t.throws(() => acceptClient(folder, { ...answer, broker: "mqtts://elsewhere:1" }), { code: "CLIENT_EXISTS" });
  await t.rejects(requestClient(folder, "plant", "service"), { code: "CLIENT_EXISTS" });
  t.strictSame(files(folder), before);
});

void t.test("what is no request of this client to this site", async (t) => {
  const folder = join(t.testdir({}), "service");
  const request = await requestClient(folder, "plant", "service");
  const other = await requestClient(join(t.testdir({}), "other"), "plant", "other");
  for (const [what, raw, site, id] of [
    ["half of one", "{", "plant", "service"],
    ["of another site", request, "mill", "service"],
    ["of another client", request, "plant", "admin"],
    ["with another's key", { ...request, body: { ...request.body, key: other.body.key } }, "plant", "service"],
    ["with another TLS key", { ...request, body: { ...request.body, tlsKey: other.body.tlsKey } }, "plant", "service"],
    ["a box's", { ...request, type: "box-request" }, "plant", "service"],
  ] as const) t.throws(() => judgeClientRequest(raw, site, id), { code: "REQUEST_INVALID", remedy: /./ }, what);
});

void t.test("what is no answer to the keys in this folder changes nothing", async (t) => {
  const at = t.testdir({});
  const folder = join(at, "service");
  const { admin } = await certifying("plant");
  const answer = await admitClient(admin, await requestClient(folder, "plant", "service"), undefined, noRecord);
  const foreign = await admitClient(admin, await requestClient(join(at, "other"), "plant", "service"), undefined, noRecord);
  const stranger = await certifying("plant");
  const forged = await admitClient(stranger.admin, await requestClient(folder, "plant", "service"), undefined, noRecord);
  const before = files(folder);
  t.throws(() => parseClientAnswer(JSON.stringify(answer).slice(0, -2)), { code: "ANSWER_INVALID" });
  t.throws(() => parseClientAnswer(JSON.stringify({ ...answer, more: 1 })), { code: "ANSWER_INVALID" });
  t.throws(() => acceptClient(join(at, "nowhere"), answer), { code: "NOT_REQUESTED" });
  t.throws(() => acceptClient(folder, foreign), { code: "ANSWER_FOREIGN" });
  t.throws(() => acceptClient(folder, { ...answer, ca: forged.ca }), { code: "ANSWER_FOREIGN" }, "certified by another authority");
  t.throws(() => acceptClient(folder, { ...answer, client: "other" }), { code: "ANSWER_FOREIGN" }, "the broker knows it by its certificate's name");
  t.throws(() => acceptClient(folder, { ...answer, certificate: "x" }), { code: "ANSWER_FOREIGN" });
  t.throws(() => acceptClient(folder, answer, "another"), { code: "AUTHORITY_WRONG" });
  t.strictSame(files(folder), before);
});
