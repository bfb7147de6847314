import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { freePort, inTurns, place, run, shardkeep, start, withoutSoftHsm } from "./support.ts";

void t.test("administering a site from the command line", { skip: withoutSoftHsm }, async (t) => {
  const here = place(t, await freePort());
  const { at } = here;
  const config = here.coordinator();
  t.equal((await run("agent/coordinator/init.js", ["--config", config])).code, 0);
  const admin = at("coordinator", "clients", "admin", "client.yaml");
  const ask = (...args: string[]): ReturnType<typeof shardkeep> => shardkeep([...args, "--client", admin]);
  const coordinator = await start(t, "provisioning/main.js", ["coordinator", "--config", config], /started/);

  const status = await ask("status", "--json");
  t.match(JSON.parse(status.stdout), { site: "plant", sealed: false, siteRecord: { version: 1 }, boxes: [], keys: [], operations: 0 });
  t.match((await ask("status")).stdout, /site plant[^]*UNSEALED[^]*BOX[^]*KEY/);

  writeFileSync(at("policy.yaml"), "roles: [officer]\npeople: [{id: alice, roles: [officer]}]\nclients: []\nrules:\n  - {key: payroll, resource: \"**\", operations: [unwrap], require: [{role: officer, people: 1}], limit: 20/hour}\n");
  t.match(await ask("site", "apply", at("policy.yaml")), { code: 0, stdout: /record version 2/ });
  t.match((await ask("site", "show")).stdout, /UNSEALED[^]*alice: officer; no finger[^]*admin, administrator[^]*payroll \*\*: unwrap need 1 × officer, each at another box; requester never, confirm none, at most 20\/hour/);
  t.match(JSON.parse((await ask("site", "show", "--json")).stdout), { type: "site-record", body: { version: 2, people: [{ id: "alice" }] } });
  t.match((await ask("person", "list")).stdout, /alice +officer/);

  writeFileSync(at("bad.yaml"), "roles: [officer]\npeople: [{id: Bob!, roles: []}]\nclients: []\nrules: [{key: k, operations: [], require: []}]\n");
  t.match(await ask("site", "apply", at("bad.yaml")), { code: 78, stderr: /people\.0\.id[^]*rules\.0\.operations[^]*rules\.0\.require/ }, "all problems at once");
  writeFileSync(at("ghost.yaml"), "roles: []\npeople: []\nclients: []\nrules: [{key: k, operations: [mac], require: [{person: ghost}]}]\n");
  t.match(await ask("site", "apply", at("ghost.yaml")), { code: 1, stderr: /RECORD_INVALID[^]*ghost/ });
  t.match(JSON.parse((await ask("site", "show", "--json")).stdout), { body: { version: 2 } }, "nothing of it is in the record");

  const refusals: [string[], number, string][] = [
    [["site", "seal"], 1, "NOT_READY"], [["person", "remove", "ghost"], 1, "UNKNOWN_PERSON"], [["key", "show", "payroll"], 1, "UNKNOWN_KEY"], [["key", "reshard", "payroll"], 1, "UNKNOWN_KEY"],
    [["person", "add", "bob", "--role", "officer", "--finger", "index", "--box", "box-9"], 1, "UNKNOWN_BOX"],
    [["box", "retire", "box-9"], 1, "UNKNOWN_BOX"], [["client", "remove", "ghost"], 1, "UNKNOWN_CLIENT"], [["client", "remove", "admin"], 1, "LAST_ADMINISTRATOR"],
    [["box", "pause", "box-9", "--for", "1h"], 1, "UNKNOWN_BOX"], [["box", "resume", "box-9"], 1, "UNKNOWN_BOX"], [["box", "identify", "box-9"], 1, "UNKNOWN_BOX"],
    [["key", "create", "payroll", "--threshold", "2", "--holders", "box-1,box-2"], 77, "NOT_SEALED"],
    [["key", "reshard", "payroll", "--threshold", "2", "--size", "4"], 77, "NOT_SEALED"],
    [["use", "decrypt", "--key", "payroll", "--resource", "a", "--reason", "x", "--in", policyFile(at), "--out", at("out")], 77, "NOT_SEALED"],
    [["seal", policyFile(at), "--key", "payroll", "--resource", "a"], 77, "NOT_SEALED"],
    [["open", policyFile(at), "--out", at("out")], 65, "FILE_HEADER_INVALID"],
  ];
  await inTurns(refusals, async ([args, exit, code]) => {
    const { code: got, stderr } = await ask(...args);
    t.match(stderr, new RegExp(`^${code}: `, "m"), args.slice(0, 2).join(" "));
    t.equal(got, exit, `${args.slice(0, 2).join(" ")}: exit`);
  });
  t.notOk(existsSync(at("out")) || existsSync(`${policyFile(at)}.sealed`), "nothing was written");
  const long = await shardkeep(["use", "encrypt", "--key", "payroll", "--resource", "a", "--reason", "x", "--client", admin], { input: new Uint8Array(65_537) });
  t.match(long, { code: 65, stderr: /PAYLOAD_TOO_LONG[^]*shardkeep seal/ });

  await t.test("dry runs: what would change, and nothing does", async (t) => {
    const dry = async (...args: string[]): Promise<object> => {
      const { code, stdout } = await ask(...args, "--dry-run", "--json");
      return { code, ...JSON.parse(stdout) as object };
    };
    t.match(await dry("client", "add", "laptop", "--person", "alice", "--out", at("laptop")), {
      code: 0, client: "laptop", ready: true,
      steps: [{ step: "keys", state: "would change" }, { step: "record", state: "would change", version: 3, changes: [/^\+ client laptop for alice, key to be made$/] }, { step: "client.yaml", state: "would change" }],
    });
    t.notOk(existsSync(at("laptop")), "no folder, no keys");
    t.match(await dry("client", "add", "ghost", "--person", "nobody", "--out", at("ghost")), { code: 1, ready: false, steps: [{}, { state: "failed", code: "RECORD_INVALID" }, {}] });
    t.match(await dry("client", "remove", "ghost"), { code: 1, error: { code: "UNKNOWN_CLIENT" } });
    t.match(await dry("box", "retire", "box-9"), { code: 1, error: { code: "UNKNOWN_BOX" } });
    t.match(JSON.parse((await ask("site", "show", "--json")).stdout), { body: { version: 2 } });
  });

  await t.test("a second client", async (t) => {
    const added = await ask("client", "add", "laptop", "--person", "alice", "--out", at("laptop"));
    t.match(added, { code: 0, stdout: /laptop is ready/ });
    const own = at("laptop", "client.yaml");
    t.match(JSON.parse((await shardkeep(["status", "--json", "--client", own])).stdout), { siteRecord: { version: 3 } });
    t.match(await shardkeep(["site", "apply", at("policy.yaml"), "--client", own]), { code: 77, stderr: /NOT_PERMITTED: laptop is no administrator/ });
    t.match(await shardkeep(["client", "remove", "laptop", "--dry-run", "--client", own]), { code: 77, stderr: /NOT_PERMITTED: laptop is no administrator/ });
    t.match(await ask("client", "remove", "laptop", "--dry-run"), { code: 0, stderr: /would change {2}record {2}version 4 {2}changes - client laptop/, stdout: /^nothing was changed/ });
    for (const words of [["pause", "box-9", "--for", "1h"], ["resume", "box-9"], ["retire", "box-9"], ["identify", "box-9"]]) t.match(await shardkeep(["box", ...words, "--client", own]), { code: 77, stderr: /NOT_PERMITTED/ });
    t.match(await ask("client", "add", "laptop", "--out", at("laptop")), { code: 1, stderr: /CLIENT_EXISTS/ });
    t.match(await ask("client", "add", "laptop", "--out", at("laptop-2")), { code: 77, stderr: /NAME_TAKEN/ });
    t.match(await ask("client", "add", "ghost", "--person", "nobody", "--out", at("ghost")), { code: 1, stderr: /RECORD_INVALID/ });

    t.match(await ask("client", "remove", "laptop"), { code: 0, stdout: /laptop is out, record version 4/ });
    t.match(await shardkeep(["status", "--client", own]), { code: 69, stderr: /^BROKER_REFUSED: .*refuses laptop\.[^]*next: the certificate's name must be in the site record/m }, "out at once");
    t.match(await ask("client", "add", "laptop", "--out", at("laptop-3")), { code: 1, stderr: /RECORD_INVALID[^]*laptop stands twice/ }, "nobody comes under that name again");
    t.match(await ask("site", "acl"), { code: 0, stdout: /user laptop\ntopic deny #\n$/ });
    t.match(await ask("site", "acl", "--out", at("acl"), "--json"), { code: 0, stdout: /"denied":\["laptop"\],"out"/ });
    t.match(readFileSync(at("acl"), "utf8"), /^pattern write [^]*user coordinator\n[^]*user laptop\ntopic deny #\n$/);
  });

  await t.test("a client whose keys are made where it runs, by a file pair", async (t) => {
    const [folder, request, answer] = [at("service"), at("service.request"), at("service.answer")];
    const asked = await shardkeep(["client", "request", "service", "--site", "plant", "--folder", folder, "--out", request, "--json"]);
    const { fingerprint } = JSON.parse(asked.stdout) as { fingerprint: string };
    t.match(await ask("client", "add", "other", "--request", request, "--out", answer), { code: 65, stderr: /^REQUEST_INVALID: .* of service to site plant, not of other/m });
    t.notOk(existsSync(answer));
    const added = await ask("client", "add", "service", "--request", request, "--out", answer);
    t.equal(added.code, 0, added.stderr);
    t.match(added.stderr, `key of service: ${fingerprint}`, "what the people there compare");
    t.notMatch(readFileSync(answer, "utf8"), "PRIVATE");
    const [, authority = ""] = /--authority (\S+)/.exec(added.stdout) ?? [];
    const accept = (...more: string[]) => shardkeep(["client", "accept", answer, "--folder", folder, ...more]);
    t.match(await accept("--authority", fingerprint), { code: 77, stderr: /AUTHORITY_WRONG[^]*site show/ });
    t.match(await accept("--authority", authority), { code: 0, stdout: /as you named it\nservice is ready/ });
    t.match(await shardkeep(["status", "--client", join(folder, "client.yaml")]), { code: 0 });
  });

  await t.test("what became of each step, for programs", async (t) => {
    const added = await ask("client", "add", "desk", "--out", at("desk"), "--json");
    t.match({ code: added.code, ...JSON.parse(added.stdout) as object }, { code: 0, client: "desk", file: at("desk", "client.yaml"), steps: [{ step: "record", state: "changed" }, { step: "client.yaml", state: "changed" }] });
    const removed = await ask("client", "remove", "desk", "--json");
    t.match({ ...JSON.parse(removed.stdout) as object, exit: removed.code }, { exit: 0, client: "desk", changes: [/^- client desk/, "+ retired name desk"], steps: [{ step: "record", state: "changed" }] });
  });

  await t.test("nobody there", async (t) => {
    const gone = new Promise((resolve) => { coordinator.once("close", resolve); });
    coordinator.kill("SIGTERM");
    await gone;
    const { code, stderr } = await ask("status");
    t.equal(code, 69);
    t.match(stderr, /^BROKER_UNREACHABLE: .*ECONNREFUSED[^]*next: /m);
  });
});

const policyFile = (at: (name: string) => string): string => at("policy.yaml");
