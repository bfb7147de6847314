import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import t, { type Test } from "tap";
import { boxAnswer, boxRequest } from "../../agent/protocol/joining.ts";
import { siteRecord } from "../../agent/protocol/site-record.ts";
import { verifyStatement } from "../../agent/protocol/statement.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { getJson } from "../../agent/store/json.ts";
import { openStore } from "../../agent/store/level.ts";
import { freePort, place, run, shardkeep, start, stepsOf, withoutSoftHsm, type Ended, type Place } from "./support.ts";

const join = "agent/box/init.js";

/** A running coordinator of a new site, and two boxes whose requests it has approved. */
async function site(t: Test, change: object = {}): Promise<Place & { readonly client: string; readonly authority: string }> {
  const here = place(t, await freePort());
  const config = here.coordinator(change);
  const made = await run("agent/coordinator/init.js", ["--config", config]);
  const authority = stepsOf(made.stdout).find(({ step }) => step === "site")!["authority"] as string;
  await start(t, "agent/coordinator/main.js", ["--config", config], /started/);
  return { ...here, authority, client: here.at("coordinator", "clients", "admin", "client.yaml") };
}

const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

async function versionAt({ at }: Place, box: string): Promise<number | undefined> {
  const store = await openStore(at(box, "store"));
  try {
    return getJson(store, "site-record", siteRecord)?.body.version;
  } finally {
    await store.close();
  }
}

void t.test("a box joins over the network by a code that is good once", { skip: withoutSoftHsm }, async (t) => {
  const port = await freePort();
  const here = await site(t, { join: { listen: { host: "127.0.0.1", port } } });
  const { client, authority } = here;
  const config = here.box("box-1");
  let invited: Promise<Ended> | undefined;
  const code = await new Promise<string>((resolve) => {
    invited = shardkeep(["site", "invite", "box-1", "--client", client, "--json"], { onStderr: (text) => {
      const [, found] = /: ([0-9A-Z]{5}(?:-[0-9A-Z]{5}){6})/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    } });
  });
  const joined = await shardkeep(["box", "join", "--config", config, "--at", `127.0.0.1:${port}`, "--json"], { input: `${code.toLowerCase()}\n` });
  t.equal(joined.code, 0, joined.stderr);
  const { steps } = JSON.parse(joined.stdout) as { steps: { step: string; fingerprint?: string; trust?: string }[] };
  t.strictSame(steps.map(({ step }) => step).filter((step) => step !== "request"), ["token", "store", "identity key", "vault", "tls key", "authority", "challenge secret", "tls", "box"]);
  t.match(steps.find(({ step }) => step === "authority"), { fingerprint: fingerprintOf(authority), trust: "compared" });
  t.match(JSON.parse((await invited)?.stdout ?? ""), { box: "box-1", version: 2, authority: fingerprintOf(authority) });
  const again = await shardkeep(["box", "join", "--config", config, "--at", `127.0.0.1:${port}`, "--json"], { input: code });
  t.match(again, { code: 0, stdout: /"step":"box","state":"ok"/ }, "cut off, the same command goes on with the same answer");
  const other = await shardkeep(["box", "join", "--config", here.box("box-2"), "--at", `127.0.0.1:${port}`], { input: code });
  t.match(other.stderr, /JOIN_REFUSED: NAME_TAKEN: this code is for box-1, not for box-2/);
});

void t.test("a box joins by a file pair", { skip: withoutSoftHsm }, async (t) => {
  const here = await site(t);
  const { at, client, authority } = here;
  const config = here.box("box-1");
  const request = at("request.json");
  const answer = at("answer.json");

  await t.test("the request, cut off anywhere, comes out whole and the same", async (t) => {
    for (const step of ["token", "identity key", "vault"]) {
      await run(join, ["request", "--config", config, "--out", request], { killAt: new RegExp(`"step":"${step}"`) });
    }
    const made = await run(join, ["request", "--config", config, "--out", request]);
    t.equal(made.code, 0, made.stderr);
    const first = boxRequest.parse(json(request));
    t.ok(verifyStatement(first, "plant", first.body.key), "signed by the box's own key");
    t.match(first, { by: "box-1", body: { zone: "default", sealKey: { generation: 1 } } });
    t.equal((await run(join, ["request", "--config", config, "--out", request])).code, 0);
    t.same({ ...boxRequest.parse(json(request)), sig: "" }, { ...first, sig: "" }, "asked again it says the same");
  });

  await t.test("the answer", async (t) => {
    const approved = await shardkeep(["site", "approve", request, "--out", answer, "--client", client]);
    t.equal(approved.code, 0, approved.stderr);
    t.match(approved.stdout, `--authority ${fingerprintOf(authority)}`);
    const again = await shardkeep(["site", "approve", request, "--out", answer, "--client", client]);
    t.match(again, { code: 1, stderr: /^FILE_EXISTS/ });
    const accepted = await run(join, ["accept", answer, "--config", config, `--authority=${fingerprintOf(authority)}`]);
    t.equal(accepted.code, 0, accepted.stderr);
    t.match(stepsOf(accepted.stdout).find(({ step }) => step === "authority"), { trust: "compared" });
    t.equal(await versionAt(here, "box-1"), 2);
    const twice = await run(join, ["accept", answer, "--config", config, "--authority", authority]);
    t.ok(stepsOf(twice.stdout).every(({ state }) => state === "ok"), "a second time it changes nothing");
  });

  await t.test("an answer that was lost is made anew, and replaces the secret", async (t) => {
    const second = at("answer-2.json");
    t.equal((await shardkeep(["site", "approve", request, "--out", second, "--client", client])).code, 0);
    await run(join, ["accept", second, "--config", config], { killAt: /"step":"challenge secret"/ });
    const accepted = await shardkeep(["box", "accept", second, "--config", config, "--json"]);
    t.equal(accepted.code, 0, accepted.stderr);
    t.match(JSON.parse(accepted.stdout), { steps: [{}, {}, { step: "authority", trust: "known" }] });
  });

  await t.test("an answer before any request", async (t) => {
    const early = boxAnswer.parse(json(answer));
    writeFileSync(at("early.json"), JSON.stringify({ ...early, body: { ...early.body, box: "box-2" } }));
    t.match(await shardkeep(["box", "accept", at("early.json"), "--config", here.box("box-2")]), { code: 1, stderr: /^NOT_REQUESTED[^]*next: / });
    t.match(await shardkeep(["box", "accept", at("none.json"), "--config", config]), { code: 1, stderr: /^FILE_UNREADABLE/m });
    for (const wrong of ["x", "-x"]) t.match(await shardkeep(["box", "accept", answer, "--config", config, "--authority", wrong]), { code: 77, stderr: /AUTHORITY_WRONG[^]*next: / });
  });

  await t.test("the coordinator refuses what is no request of a new box", async (t) => {
    const stolen = boxRequest.parse(json(request));
    writeFileSync(at("forged.json"), JSON.stringify({ ...stolen, by: "box-9" }));
    t.match(await shardkeep(["site", "approve", at("forged.json"), "--out", at("x.json"), "--client", client]), { stderr: /^REQUEST_INVALID/ });
  });

  await t.test("before the seal a box that retires is out at once, and its name nobody's", async (t) => {
    const retired = await shardkeep(["box", "retire", "box-1", "--client", client, "--json"]);
    t.match([retired.code, JSON.parse(retired.stdout)], [0, { box: "box-1", changes: ["- box box-1"], code: null, exposed: [] }], retired.stderr);
    t.match(await shardkeep(["box", "retire", "box-1", "--client", client]), { code: 0, stdout: /nothing to change/ }, "again");
    t.match(await shardkeep(["site", "approve", request, "--out", at("z.json"), "--client", client]), { stderr: /^NAME_TAKEN: box-1 has retired/m });
  });

  await t.test("a box that lost its store joins no second time with the same token", async (t) => {
    renameSync(at("box-1", "store"), at("lost"));
    t.match(await shardkeep(["box", "request", "--config", config, "--out", at("y.json")]), { stderr: /^STATE_DAMAGED/m });
    rmSync(at("box-1", "owner.json"));
    t.match(await shardkeep(["box", "request", "--config", config, "--out", at("y.json")]), { stderr: /^TOKEN_FOREIGN/m });
  });
});
