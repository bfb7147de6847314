import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import t, { type Test } from "tap";
import { examine, type Finding } from "../../provisioning/doctor/check.ts";
import { brokerChecks } from "../../provisioning/doctor/broker.ts";
import { restore } from "../../provisioning/backup/restore.ts";
import { diagnose } from "../../provisioning/doctor/doctor.ts";
import { verifyBox } from "../../provisioning/doctor/verify.ts";
import { labelOf, type Label } from "../../provisioning/machine/label.ts";
import { readBoxInstallation, readInstallation } from "../../provisioning/machine/installation.ts";
import { resetBox, type ResetStep } from "../../provisioning/machine/reset.ts";
import { isRunning, whileStopped } from "../../provisioning/machine/lock.ts";
import { systemClock } from "../../agent/runtime/clock.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { BridgeProcess } from "../../firmware-bridge/client.ts";
import { EmulatorProcess } from "../firmware-bridge/support/emulator.ts";
import { freePort, place, run, shardkeep, start, withoutSoftHsm, type Place } from "./support.ts";

/** A coordinator that runs, and a box that has joined: SoftHSM tokens, TLS, an emulated sensor on its pseudo-terminal. */
async function site(t: Test): Promise<Place & { readonly boxFile: string; readonly coordinatorFile: string; readonly early: Label; readonly stop: () => Promise<void> }> {
  const here = place(t, await freePort());
  const sensor = await EmulatorProcess.start();
  t.teardown(() => sensor.stop());
  const [coordinatorFile, boxFile] = [here.coordinator(), here.box("box-1", { sensor: { path: sensor.link, allowEmulated: true } })];
  t.equal((await run("agent/coordinator/init.js", ["--config", coordinatorFile])).code, 0);
  const coordinator = await start(t, "agent/coordinator/main.js", ["--config", coordinatorFile], /started/);
  const request = here.at("request.json");
  const asked = await run("agent/box/init.js", ["request", "--config", boxFile, "--out", request]);
  t.equal(asked.code, 0, asked.stderr);
  const early = await labelOf(readBoxInstallation(boxFile));
  for (const step of [
    await shardkeep(["site", "approve", request, "--out", here.at("answer.json"), "--client", here.at("coordinator", "clients", "admin", "client.yaml")]),
    await run("agent/box/init.js", ["accept", here.at("answer.json"), "--config", boxFile]),
  ]) t.equal(step.code, 0, step.stderr);
  const ended = new Promise<void>((resolve) => { coordinator.once("close", () => { resolve(); }); });
  return { ...here, boxFile, coordinatorFile, early, stop: async () => { coordinator.kill("SIGTERM"); await ended; } };
}

const bad = (findings: readonly Finding[]): (string | undefined)[][] => findings.filter(({ state }) => state !== "ok").map(({ check, state, code }) => [check, state, code]);

void t.test("one machine's upkeep", { skip: withoutSoftHsm }, async (t) => {
  const here = await site(t);
  const { at, boxFile, coordinatorFile } = here;
  const box = readBoxInstallation(boxFile);
  const coordinator = readInstallation(coordinatorFile);
  t.throws(() => readBoxInstallation(coordinatorFile), { code: "CONFIG_INVALID", message: /coordinator, not of a box/ });
  /** What else a full test machine may warn of is not asked here. */
  const ofSite = (findings: readonly Finding[]): (string | undefined)[][] => bad(findings).filter(([check]) => !["space", "modem manager"].includes(check ?? ""));

  await t.test("doctor: all in order", async (t) => {
    const ran = await shardkeep(["doctor", "--config", boxFile, "--json"]);
    t.equal(ran.code, 0, ran.stderr);
    const { findings } = JSON.parse(ran.stdout) as { findings: Finding[] };
    t.same(ofSite(findings), [["sensor", "warn", "SENSOR_UNPAIRED"]], "one document, no child's log in it; nobody has paired the sensor yet");
    t.same(ofSite(await diagnose(coordinator)), ["token", "store", "broker rights"].map((check) => [check, "skipped", undefined]), "what the coordinator has is its own");
  });

  await t.test("doctor: several things wrong at once", async (t) => {
    chmodSync(at("box-1", "pin"), 0o644);
    renameSync(at("box-1", "tls", "box-1.key.pem"), at("key"));
    renameSync(at("box-1", "store", "acknowledged"), at("acknowledged"));
    renameSync(at("box-1", "tokens"), at("tokens"));
    mkdirSync(at("box-1", "tokens"));
    const found = await diagnose(box);
    t.match(found.find(({ check }) => check === "store"), { code: "STORE_DAMAGED", detail: at("box-1", "store") }, "it names the store itself, not the copy that was looked at");
    t.same(bad(found).filter(([, state]) => state === "failed"), [
      ["pin file", "failed", "PIN_EXPOSED"], ["token", "failed", "TOKEN_MISSING"], ["store", "failed", "STORE_DAMAGED"], ["certificate box-1", "failed", "TLS_FILES_MISSING"],
      ["broker tls", "failed", "TLS_FILES_MISSING"], ["broker rights", "failed", "TLS_FILES_MISSING"],
    ], "all of it at once");
    t.notOk(existsSync(at("box-1", "store", "acknowledged")), "nothing was mended");
    rmSync(at("box-1", "tokens"), { recursive: true });
    renameSync(at("tokens"), at("box-1", "tokens"));
    renameSync(at("acknowledged"), at("box-1", "store", "acknowledged"));
    renameSync(at("key"), at("box-1", "tls", "box-1.key.pem"));
    chmodSync(at("box-1", "pin"), 0o600);
  });

  await t.test("doctor: the broker says no", async (t) => {
    const as = async (name: string, config: object): Promise<(string | undefined)[][]> => bad(await examine(brokerChecks({ ...box, name, config: { ...box.config, ...config } }, false), systemClock));
    t.match(await as("box-1", { broker: "mqtts://127.0.0.1:1" }), [["broker", "failed", "BROKER_UNREACHABLE"], ["broker tls", "failed", "BROKER_UNREACHABLE"], ["broker rights", "failed", "BROKER_UNREACHABLE"]]);
    t.match(await as("box-1", { broker: "http://127.0.0.1" }), [["broker", "failed", "BROKER_URL_INVALID"], ["broker tls", "failed", "BROKER_URL_INVALID"], ["broker rights", "failed", "BROKER_URL_INVALID"]]);
    const stranger = at("box-1", "tls", "box-9");
    for (const end of [".pem", ".key.pem"]) copyFileSync(at("coordinator", "tls", `broker${end}`), stranger + end);
    t.match(await as("box-9", {}), [["broker rights", "failed", /BROKER_REFUSED|NOT_CONNECTED/]], "a certificate of the site that names nobody of it");
    for (const end of [".pem", ".key.pem"]) rmSync(stranger + end);
    const deaf = createServer((socket) => { socket.on("error", () => undefined).end("HTTP/1.1 400\r\n"); }).listen(0, "127.0.0.1");
    t.teardown(() => { deaf.close(); });
    await new Promise((resolve) => { deaf.once("listening", resolve); });
    const address = deaf.address();
    t.match(await as("box-1", { broker: `mqtts://127.0.0.1:${typeof address === "object" ? address?.port ?? 0 : 0}` }), [["broker tls", "failed", "BROKER_UNREACHABLE"], ["broker rights", "failed", "BROKER_UNREACHABLE"]], "no TLS there");
  });

  await t.test("box label, also before it has joined", async (t) => {
    const label = await labelOf(box);
    const { body } = JSON.parse(readFileSync(at("request.json"), "utf8")) as { body: { key: string } };
    t.same(label, { site: "plant", box: "box-1", fingerprint: fingerprintOf(body.key) });
    t.same(here.early, label);
    const printed = await shardkeep(["box", "label", "--config", boxFile, "--out", at("label.png"), "--json"]);
    t.match([printed.code, JSON.parse(printed.stdout)], [0, { ...label, out: at("label.png") }], printed.stderr);
    t.match(readFileSync(at("label.png"), "latin1"), /^.PNG/);
  });

  await t.test("a bundle with the coordinator's word in it", async (t) => {
    const made = await shardkeep(["support-bundle", "--config", coordinatorFile, "--out", at("bundle.json")]);
    t.equal(made.code, 0, made.stderr);
    const found = JSON.parse(readFileSync(at("bundle.json"), "utf8")) as { status: unknown; siteRecord: { body: { authority: string } }; installation: unknown };
    t.match(found, { siteRecord: { type: "site-record", body: { version: 2 } }, status: { site: "plant", siteRecord: { version: 2 } }, installation: { kind: "coordinator", config: { hsm: { pinFile: at("coordinator", "pin") } } } });
    t.match(found.siteRecord.body.authority, /^[\w-]{87}$/, "a public key stays as it is");
  });

  await t.test("box verify", async (t) => {
    const ran = await shardkeep(["box", "verify", "--config", boxFile]);
    t.match(ran, { code: 0, stdout: /coordinator +coordinator heard box-1 and answered; it has record version 2\n\nbox-1 is in order/ }, ran.stderr);
    await whileStopped(box.hsm, async () => {
      t.ok(isRunning(box.hsm));
      await t.rejects(verifyBox(box), { code: "ALREADY_OWNED" });
      await t.rejects(whileStopped(box.hsm, () => undefined), { code: "ALREADY_OWNED", message: /(?:flock|cat), process \d+/ });
    });
    t.notOk(isRunning(box.hsm));
    await here.stop();
    t.match(bad(await examine(brokerChecks(coordinator, false), systemClock)), [], "the port of a coordinator that is stopped is free");
  });

  await t.test("backup and restore of a real token and store", async (t) => {
    const kept = await shardkeep(["backup", "--config", boxFile, "--out", at("box.backup"), "--json"]);
    t.match([kept.code, JSON.parse(kept.stdout), kept.stderr], [0, { kind: "box", name: "box-1", state: "changed" }, /IS the shards of box-1/], kept.stderr);
    renameSync(at("box-1"), at("burnt"));
    t.match(await shardkeep(["restore", at("box.backup"), "--config", boxFile]), { code: 0, stdout: /^changed[^]*next: shardkeep box verify[^]*quarantine as an old backup/ });
    const findings = await verifyBox(box);
    t.match(findings.filter(({ check }) => ["token", "identity", "challenge secret", "authority"].includes(check)), [{ state: "ok" }, { state: "ok" }, { state: "ok" }, { state: "ok" }]);
    t.match(bad(findings), [["sensor"], ["broker", "failed", "BROKER_UNREACHABLE"], ["broker tls", "failed"], ["coordinator", "failed", "BROKER_UNREACHABLE"]], "and nobody hears it");
  });

  await t.test("box reset, cut off after every step", async (t) => {
    const stateFile = at("box-1", "sensor.json");
    const bridge = new BridgeProcess({ config: { sensor: { ...box.config.sensor, stateFile } }, log: silentLog, quiet: true });
    await bridge.start();
    t.match(await bridge.pair(), { state: "ready" });
    await bridge.stop();

    t.match(await shardkeep(["box", "reset", "--config", boxFile, "--yes", "box-2"]), { code: 64, stderr: /USAGE: this is box-1, not box-2: nothing was destroyed/ });
    await whileStopped(box.hsm, () => t.rejects(resetBox(box, false, () => undefined), { code: "ALREADY_OWNED" }));
    const steps: ResetStep[] = [];
    await resetBox(box, true, (step) => steps.push(step));
    t.same(steps.map(({ state }) => state), Array(5).fill("would change"));
    writeFileSync(at("elsewhere.conf"), `directories.tokendir = ${at("tokens")}\n`);
    const foreign = readFileSync(at("box-1", "owner.json"), "utf8");
    writeFileSync(at("box-1", "owner.json"), foreign.replace(/"token":"[^"]*"/, '"token":"0123456789abcdef"'));
    renameSync(at("box-1", "tokens"), at("tokens"));
    await t.rejects(resetBox({ ...box, hsm: { ...box.hsm, softhsmConf: at("elsewhere.conf") } }, false, () => undefined), { code: "TOKEN_FOREIGN" }, "a token of the name that goes with another state");
    writeFileSync(at("box-1", "owner.json"), foreign.replace("box-1", "box-7"));
    await t.rejects(resetBox(box, false, () => undefined), { code: "STATE_FOREIGN" });
    writeFileSync(at("box-1", "owner.json"), foreign);
    renameSync(at("tokens"), at("box-1", "tokens"));
    t.ok(existsSync(stateFile) && existsSync(at("box-1", "store")) && readdirSync(at("box-1", "tokens")).length > 2 && !existsSync(at("box-1", "reset.json")), "nothing was destroyed");

    const states: string[][] = [];
    for (let cut = 1; cut <= 5; cut++) {
      const said: string[] = [];
      await resetBox(box, false, ({ state }) => {
        said.push(state);
        if (said.length === cut) throw new Error("the power is gone");
      }).catch(() => undefined);
      states.push(said);
    }
    t.same(states, [["changed"], ["ok", "changed"], ["ok", "ok", "changed"], ["ok", "ok", "ok", "changed"], ["ok", "ok", "ok", "ok", "changed"]], "each goes on where the last one ended");
    t.notOk(existsSync(at("box-1")));
    const last = await shardkeep(["box", "reset", "--config", boxFile, "--yes", "box-1", "--json"]);
    t.match([last.code, JSON.parse(last.stdout)], [0, { box: "box-1", left: [boxFile], steps: Array(5).fill({ state: "ok" }) }], last.stderr);
    t.match((await diagnose(box)).find(({ check }) => check === "sensor"), { state: "warn", code: "SENSOR_UNPAIRED" }, "the sensor is free for another box");

    await restore(at("box.backup"), boxFile, { replace: false, dryRun: false });
    writeFileSync(at("box-1", "pin"), "lost");
    const lost: string[] = [];
    await resetBox(box, false, ({ step, state }) => lost.push(`${step} ${state}`));
    t.same(lost, ["sensor ok", "keys ok", "token files changed", "pin changed", "state changed"], "with its PIN lost, SoftHSM's keys go as files");
  });
});
