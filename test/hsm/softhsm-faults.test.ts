import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pkcs11js from "pkcs11js";
import t, { type Test } from "tap";
import type { HsmCalls } from "../../agent/hsm/calls.ts";
import type { HsmConfig } from "../../agent/hsm/client.ts";
import { prepareDirectory, restoreTokens, syncTokens, tokenDirectory } from "../../agent/hsm/softhsm.ts";
import { hsmService } from "../../agent/hsm/service.ts";
import type { Clock } from "../../agent/runtime/clock.ts";
import { toWire } from "../../agent/runtime/errors.ts";
import type { Args, Result } from "../../agent/runtime/ipc.ts";
import { softhsm, tokenFolder } from "./fixtures/token.ts";

// SoftHSM's failures, hardware/pkcs11.md §1.4, each on a token of its own.
let now = 0;
const clock: Clock = { now: () => now, wall: () => "", after: () => () => undefined };
const message = new Uint8Array(3);

/** A service on the token of `config`; a later one means that this one is closed. */
function service(config: HsmConfig) {
  process.env["SOFTHSM2_CONF"] = config.softhsmConf;
  const { handlers, close } = hsmService(config, clock);
  const call = async <K extends keyof HsmCalls>(name: K, args: Args<HsmCalls, K>): Promise<Result<HsmCalls, K>> => await handlers[name](args);
  return { call, close, sign: () => call("sign", { role: "identity", message }) };
}

async function token(t: Test, change: Partial<HsmConfig> = {}) {
  const made = tokenFolder(t, change);
  prepareDirectory(made.config.softhsmConf!, made.tokenFolder);
  const hsm = service(made.config);
  await hsm.call("createToken", {});
  await hsm.call("createKey", { role: "identity" });
  t.teardown(hsm.close);
  const folder = (): string => join(made.tokenFolder, readdirSync(made.tokenFolder).find((name) => statSync(join(made.tokenFolder, name)).isDirectory())!);
  const objects = (): string[] => readdirSync(folder()).filter((name) => name.endsWith(".object") && name !== "token.object").map((name) => join(folder(), name));
  return { ...made, hsm, folder, objects };
}

/** Waits out every pause between two openings. */
function later(): void {
  now += 31_000;
}

if (softhsm === undefined) {
  t.pass("skipped", { skip: "SoftHSM is not installed" });
} else {
  void t.test("a token is made once, its PIN lies in a file of mode 0600", async (t) => {
    const { config, hsm, folder, tokenFolder } = await token(t);
    t.equal(statSync(config.pinFile).mode & 0o777, 0o600);
    const pin = readFileSync(config.pinFile, "utf8");
    await t.rejects(hsm.call("createToken", {}), { code: "TOKEN_EXISTS" });
    t.equal(readFileSync(config.pinFile, "utf8"), pin, "its PIN is still there");
    t.equal((await hsm.sign()).length, 64, "and its key");
    t.equal(statSync(join(tokenFolder, readdirSync(tokenFolder).find((name) => name.endsWith(".token-backup"))!)).mode & 0o777, 0o600);
    t.equal(statSync(join(folder(), "token.object")).size, 320);
  });

  void t.test("a file that goes while the token is synced is no fault; one that cannot be synced is", async (t) => {
    const { hsm, folder, config } = await token(t);
    symlinkSync("gone", join(folder(), "going.object"));
    t.doesNotThrow(() => { syncTokens(config.softhsmConf!); });
    await hsm.call("createSealKey", { generation: 1 });
    symlinkSync("loop.object", join(folder(), "loop.object"));
    t.throws(() => { syncTokens(config.softhsmConf!); }, { code: "HSM_FAULT" });
  });

  void t.test("made again after a crash that left only the PIN file", async (t) => {
    const { config, tokenFolder: folder } = tokenFolder(t);
    prepareDirectory(config.softhsmConf!, folder);
    writeFileSync(config.pinFile, "0123456789\n", { mode: 0o600 });
    const hsm = service(config);
    t.teardown(hsm.close);
    t.match(await hsm.call("createToken", {}), { label: "box-1" });
    t.equal(readFileSync(config.pinFile, "utf8"), "0123456789\n");
    t.equal((await hsm.call("createKey", { role: "identity" })).length, 65, "that PIN opens it");
  });

  void t.test("token.object cut, emptied or gone: put back from its copy", async (t) => {
    const { hsm, folder, config } = await token(t);
    const file = join(folder(), "token.object");
    for (const damage of [() => { truncateSync(file, 100); }, () => { truncateSync(file, 0); }, () => { rmSync(file); }]) {
      hsm.close();
      damage();
      t.equal((await hsm.sign()).length, 64);
      t.equal(statSync(file).size, 320);
    }
    t.same(restoreTokens(config.softhsmConf!), [], "and not touched when it is whole");
  });

  void t.test("the token's folder goes and comes back", async (t) => {
    const { hsm, folder } = await token(t);
    const [there, away] = [folder(), `${folder()}.away`];
    await hsm.sign();
    renameSync(there, join(away, "..", "..", "away"));
    await t.rejects(hsm.sign(), { code: "TOKEN_MISSING" }, "named");
    await t.rejects(hsm.call("createKey", { role: "identity" }), { code: "TOKEN_MISSING" }, "nothing is made in its place");
    renameSync(join(away, "..", "..", "away"), there);
    await t.rejects(hsm.sign(), { code: "TOKEN_MISSING" }, "not tried again at once");
    later();
    t.equal((await hsm.sign()).length, 64, "all is back");
    hsm.close();
    await hsm.call("info", {});
    renameSync(there, join(away, "..", "..", "away"));
    await t.rejects(hsm.call("publicKey", { role: "identity" }), { code: "TOKEN_MISSING" }, "\"finds nothing\" is not \"there is none\"");
  });

  void t.test("an object file emptied: the key is missing and stays so", async (t) => {
    const { hsm, objects } = await token(t);
    const before = await hsm.call("publicKey", { role: "identity" });
    hsm.close();
    for (const file of objects()) truncateSync(file, 0);
    await t.rejects(hsm.sign(), { code: "KEY_MISSING" });
    await t.rejects(hsm.call("publicKey", { role: "identity" }), { code: "KEY_MISSING" });
    await t.rejects(hsm.call("selfTest", {}), { code: "HSM_SELF_TEST_FAILED" });
    t.equal(before.length, 65);
  });

  void t.test("every object file cut at every 64th byte: right, or a named error", async (t) => {
    const { hsm, objects } = await token(t);
    const identity = await hsm.call("publicKey", { role: "identity" });
    for (const file of objects()) {
      const whole = readFileSync(file);
      for (let length = 0; length < whole.length; length += 64) {
        hsm.close();
        truncateSync(file, length);
        const outcome = await hsm.call("selfTest", {}).then(() => "passed", (error: unknown) => toWire(error).code);
        if (!["passed", "KEY_MISSING", "HSM_FAULT", "HSM_SELF_TEST_FAILED"].includes(outcome)) t.fail(`${file} cut at ${length}: ${outcome}`);
        const point = await hsm.call("publicKey", { role: "identity" }).catch((error: unknown) => toWire(error).code);
        if (typeof point === "string") t.match(point, /^(KEY_MISSING|HSM_FAULT)$/);
        else t.same(point, identity, "its public key or none");
        hsm.close();
        writeFileSync(file, whole);
        later();
      }
    }
    hsm.close();
    await t.resolves(hsm.call("selfTest", {}), "and whole again all is well");
  });

  void t.test("every key is non-extractable and for one use", async (t) => {
    const { hsm, config } = await token(t);
    const recipient = await hsm.call("createSealKey", { generation: 1 });
    await hsm.call("createChallengeSecret", { box: "box-2", recipient, info: message });
    hsm.close();
    const api = new pkcs11js.PKCS11();
    api.load(config.module);
    api.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
    const slot = api.C_GetSlotList(true).find((slot) => api.C_GetTokenInfo(slot).label.startsWith(config.token))!;
    const session = api.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    api.C_Login(session, pkcs11js.CKU_USER, readFileSync(config.pinFile, "utf8"));
    const found: Record<string, string> = {};
    for (const kind of [pkcs11js.CKO_PRIVATE_KEY, pkcs11js.CKO_SECRET_KEY]) {
      api.C_FindObjectsInit(session, [{ type: pkcs11js.CKA_CLASS, value: kind }]);
      const objects = api.C_FindObjects(session, 16);
      api.C_FindObjectsFinal(session);
      for (const object of objects) {
        const value = (type: number): Buffer => api.C_GetAttributeValue(session, object, [{ type }])[0]!.value;
        const names = ["SENSITIVE", "ALWAYS_SENSITIVE", "EXTRACTABLE", "NEVER_EXTRACTABLE", "SIGN", "DERIVE"] as const;
        found[value(pkcs11js.CKA_LABEL).toString()] = names.filter((name) => value(pkcs11js[`CKA_${name}`])[0] === 1).join(" ");
        t.throws(() => value(pkcs11js.CKA_VALUE), "its value is not given out");
      }
    }
    api.C_Finalize();
    t.same(found, {
      "sk:identity": "SENSITIVE ALWAYS_SENSITIVE NEVER_EXTRACTABLE SIGN",
      "sk:seal:1": "SENSITIVE ALWAYS_SENSITIVE NEVER_EXTRACTABLE DERIVE",
      "sk:known-answer": "SENSITIVE SIGN", // imported, so once outside
      "sk:box:box-2": "SENSITIVE SIGN",
    });
  });

  void t.test("two keys of one label", async (t) => {
    const { hsm, objects } = await token(t);
    hsm.close();
    for (const file of objects()) copyFileSync(file, file.replace(/.{8}\.object$/, "00000000.object"));
    await t.rejects(hsm.sign(), { code: "KEY_AMBIGUOUS" });
  });

  void t.test("a wrong PIN, and a PIN file that is not there", async (t) => {
    const { hsm, config } = await token(t);
    const right = readFileSync(config.pinFile);
    hsm.close();
    writeFileSync(config.pinFile, "wrong-wrong");
    await t.rejects(hsm.sign(), { code: "PIN_REFUSED" });
    writeFileSync(config.pinFile, right);
    later();
    await t.rejects(hsm.sign(), { code: "PIN_REFUSED" }, "never tried again by this process");
    rmSync(config.pinFile);
    const next = service(config);
    await t.rejects(next.sign(), { code: "PIN_UNREADABLE", message: /pin/ });
    writeFileSync(config.pinFile, right, { mode: 0o644 });
    later();
    await t.rejects(next.sign(), { code: "PIN_EXPOSED", message: /644/ });
    chmodSync(config.pinFile, 0o600);
    later();
    t.equal((await next.sign()).length, 64);
    next.close();
  });

  void t.test("a unit's credential takes the place of the PIN file", async (t) => {
    const { hsm, config, folder } = await token(t);
    hsm.close();
    const credential = join(folder(), "..", "..", "shardkeep-pin");
    copyFileSync(config.pinFile, credential);
    writeFileSync(config.pinFile, "another-owner's");
    // As systemd leaves it: an access list shows in the group's bits.
    chmodSync(credential, 0o440);
    process.env["CREDENTIALS_DIRECTORY"] = dirname(credential);
    t.teardown(() => { delete process.env["CREDENTIALS_DIRECTORY"]; });
    const next = service(config);
    t.equal((await next.sign()).length, 64);
    next.close();
    chmodSync(credential, 0o444);
    const other = service(config);
    await t.rejects(other.sign(), { code: "PIN_EXPOSED", message: /shardkeep-pin/ });
    other.close();
    process.env["CREDENTIALS_DIRECTORY"] = "/nowhere";
    const third = service(config);
    await t.rejects(third.sign(), { code: "PIN_REFUSED" }, "a unit without this credential: the file");
    third.close();
  });

  void t.test("wrong configurations, each by its name", async (t) => {
    const { hsm, config, folder } = await token(t);
    hsm.close();
    const saying = async (change: Partial<HsmConfig>, expected: { code: string; message?: RegExp }) => {
      const other = service({ ...config, ...change });
      await t.rejects(other.call("info", {}), expected);
      other.close();
    };
    await saying({ module: "/nowhere/libsofthsm2.so" }, { code: "HSM_CONFIG_INVALID", message: /nowhere/ });
    await saying({ module: config.pinFile }, { code: "HSM_CONFIG_INVALID" });
    await saying({ token: "box-2" }, { code: "TOKEN_MISSING", message: /box-2/ });
    await saying({ serial: "0000000000000000" }, { code: "TOKEN_MISSING", message: /serial number 0000/ });
    await saying({ softhsmConf: "/nowhere/softhsm2.conf" }, { code: "HSM_CONFIG_INVALID", message: /nowhere/ });
    const bare = join(folder(), "..", "..", "bare.conf");
    writeFileSync(bare, "log.level = ERROR\n");
    await saying({ softhsmConf: bare }, { code: "HSM_CONFIG_INVALID", message: /directories\.tokendir/ });
    const { softhsmConf, ...without } = config;
    process.env["SOFTHSM2_CONF"] = softhsmConf;
    const careless = hsmService(without, clock);
    t.throws(() => careless.handlers.info({}), { code: "HSM_CONFIG_INVALID", message: /without softhsmConf/ }, "the system's SoftHSM is never used by accident");
    careless.close();
    t.equal(tokenDirectory(config.softhsmConf!), join(folder(), ".."));
  });

  void t.test("two tokens of one label need the serial number", async (t) => {
    const { hsm, config, folder, tokenFolder: tokens } = await token(t);
    const { serial } = await hsm.call("info", {});
    hsm.close();
    const first = folder();
    renameSync(first, join(tokens, "..", "first"));
    rmSync(config.pinFile);
    const other = service(config);
    later();
    await other.call("createToken", {});
    other.close();
    renameSync(join(tokens, "..", "first"), first);
    const ambiguous = service(config);
    await t.rejects(ambiguous.call("info", {}), { code: "TOKEN_AMBIGUOUS" });
    ambiguous.close();
    const pinned = service({ ...config, serial });
    // The PIN file is now the other token's: that it is refused shows which token was chosen.
    await t.rejects(pinned.call("info", {}), { code: "PIN_REFUSED" });
    pinned.close();
  });

  void t.test("a full disk", async (t) => {
    const { config, tokenFolder: tokens } = tokenFolder(t);
    mkdirSync(tokens, { recursive: true });
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", tokens]);
    if (mounted.status !== 0) return t.pass("skipped", { skip: "may not mount a small disk" });
    t.teardown(() => { spawnSync("umount", ["-l", tokens]); });
    prepareDirectory(config.softhsmConf!, tokens);
    const hsm = service(config);
    t.teardown(hsm.close);
    await hsm.call("createToken", {});
    const identity = await hsm.call("createKey", { role: "identity" });
    const ballast = join(tokens, "ballast");
    spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=1k"]);
    for (const make of [
      (): Promise<unknown> => hsm.call("createSealKey", { generation: 1 }),
      (): Promise<unknown> => hsm.call("createChallengeSecret", { box: "box-2", recipient: identity, info: message }),
    ]) {
      later();
      await t.rejects(make(), { code: /^(KEY_NOT_DURABLE|HSM_FAULT|TOKEN_MISSING)$/ }, "never believed");
    }
    rmSync(ballast);
    later();
    t.same(await hsm.call("publicKey", { role: "identity" }), identity, "what was there is there");
    await hsm.call("destroySealKey", { generation: 1 });
    await hsm.call("createSealKey", { generation: 1 });
    t.same(await hsm.call("sealKeys", {}), [1], "with space again it works");
  });
}
