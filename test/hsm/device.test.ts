import t from "tap";
import { hsmService } from "../../agent/hsm/service.ts";
import { hsmCalls, type HsmCalls } from "../../agent/hsm/calls.ts";
import { initialiseToken } from "../../agent/hsm/client.ts";
import { seal } from "../../agent/protocol/seal.ts";
import type { Clock } from "../../agent/runtime/clock.ts";
import type { Args, Result } from "../../agent/runtime/ipc.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { faultyModule } from "./fixtures/faulty.ts";
import { entry, tokenFolder } from "./fixtures/token.ts";

// The error table of hardware/pkcs11.md §5, row by row, on a module that answers with each error.
const faulty = faultyModule(t);
if (faulty === undefined) {
  t.pass("skipped", { skip: "needs SoftHSM and gcc" });
} else {
  const { config: real, tokenFolder: folder } = tokenFolder(t);
  await initialiseToken(real, { log: silentLog, entry, tokenFolder: folder });
  const config = { ...real, module: faulty.path };
  process.env["SOFTHSM2_CONF"] = config.softhsmConf;
  let now = 0;
  const clock: Clock = { now: () => now, wall: () => "", after: () => () => undefined };
  const message = new Uint8Array(3);
  const start = () => {
    const { handlers, close } = hsmService(config, clock);
    const call = async <K extends keyof HsmCalls>(name: K, args: Args<HsmCalls, K>): Promise<Result<HsmCalls, K>> => await handlers[name](args);
    return { call, close, sign: () => call("sign", { role: "identity", message }) };
  };

  const first = start();
  const identity = await first.call("createKey", { role: "identity" });
  first.close();

  for (const [value, code, heals] of [
    ["0x05", "HSM_FAULT", true], ["0x06", "HSM_FAULT", true], ["0x82", "HSM_FAULT", true], ["0x90", "HSM_FAULT", true],
    ["0x32", "HSM_UNREACHABLE", true], ["0xe0", "TOKEN_MISSING", true],
    ["0xb0", "HSM_LOGGED_OUT", true], ["0xb3", "HSM_LOGGED_OUT", true], ["0x101", "HSM_LOGGED_OUT", true], ["0x190", "HSM_LOGGED_OUT", true],
    ["0x07", "HSM_TEMPLATE_REFUSED", false], ["0x12", "HSM_TEMPLATE_REFUSED", false], ["0x13", "HSM_TEMPLATE_REFUSED", false],
    ["0xd0", "HSM_TEMPLATE_REFUSED", false], ["0xd1", "HSM_TEMPLATE_REFUSED", false],
    ["0x30", "HSM_INPUT_REFUSED", false], ["0x31", "HSM_FULL", false], ["0x200", "HSM_NOT_PERMITTED", false],
    ["0x54", "HSM_UNSUPPORTED", false], ["0x70", "HSM_UNSUPPORTED", false], ["0x80000001", "HSM_FAULT", false],
  ] as const) {
    void t.test(`CKR ${value} from C_Sign`, async (t) => {
      const { sign, close } = start();
      await sign();
      faulty.calls("C_Sign");
      faulty.set("C_Sign", value, 1);
      if (heals) t.equal((await sign()).length, 64, "once: tried again and done");
      else await t.rejects(sign(), { code }, "once: refused");
      t.equal(faulty.calls("C_Sign"), heals ? 2 : 1, "tries");
      faulty.set("C_Sign", value);
      await t.rejects(sign(), { code, message: new RegExp(value), remedy: /./ }, "for ever: its name");
      t.equal(faulty.calls("C_Sign"), heals ? 2 : 1, "never more than two tries");
      faulty.clear();
      t.equal((await sign()).length, 64, "over: as before");
      close();
    });
  }

  for (const value of ["0xa0", "0xa4"]) {
    void t.test(`CKR ${value}: a PIN is tried once in a process`, async (t) => {
      const { call, sign, close } = start();
      faulty.calls("C_Login");
      faulty.set("C_Login", value);
      await t.rejects(sign(), { code: "PIN_REFUSED" });
      faulty.clear();
      now += 1_000_000;
      await t.rejects(sign(), { code: "PIN_REFUSED" }, "also when the right one would be there");
      await t.rejects(call("reopen", {}), { code: "PIN_REFUSED" });
      t.equal(faulty.calls("C_Login"), 1, "one login");
      close();
      const next = start();
      t.equal((await next.sign()).length, 64, "a new process tries again");
      next.close();
    });
  }

  void t.test("a module that does not open is tried again after 1, 5, 30, 30 s; until then its error stands", async (t) => {
    const { sign, close } = start();
    faulty.set("C_Initialize", "0x05");
    faulty.calls("C_Initialize");
    for (const pause of [1000, 5000, 30_000, 30_000]) {
      await t.rejects(sign(), { code: "HSM_FAULT" });
      now += pause - 1;
      await t.rejects(sign(), { code: "HSM_FAULT" });
      t.equal(faulty.calls("C_Initialize"), 1, `one try in ${pause} ms`);
      now += 1;
    }
    faulty.clear();
    t.equal((await sign()).length, 64);
    close();
  });

  void t.test("0xb1, all device sessions taken: no login for 31 s", async (t) => {
    const { sign, close } = start();
    faulty.set("C_Login", "0xb1", 1);
    await t.rejects(sign(), { code: "HSM_BUSY", retryable: true });
    now += 30_999;
    await t.rejects(sign(), { code: "HSM_BUSY" });
    now += 1;
    t.equal((await sign()).length, 64);
    close();
  });

  for (const [pkcs11Call, value, next] of [["C_Initialize", "0x191", /0x190/], ["C_Login", "0x100", /holds no/]] as const) {
    void t.test(`CKR ${value} from ${pkcs11Call}: done already`, async (t) => {
      const { sign, close } = start();
      faulty.set(pkcs11Call, value);
      // The module was kept from really doing it, so it is the next step that fails, not this one.
      await t.rejects(sign(), { message: next });
      faulty.clear();
      close();
      now += 60_000;
    });
  }

  void t.test("a failed creation is not tried twice", async (t) => {
    const { call, close } = start();
    for (const [pkcs11Call, make] of [
      ["C_GenerateKeyPair", (): Promise<unknown> => call("createSealKey", { generation: 1 })],
      ["C_GenerateKeyPair", (): Promise<unknown> => call("createKey", { role: "authority" })],
      ["C_CreateObject", (): Promise<unknown> => call("createChallengeSecret", { box: "box-1", recipient: identity, info: message })],
    ] as const) {
      faulty.calls(pkcs11Call);
      faulty.set(pkcs11Call, "0x05");
      await t.rejects(make(), { code: "HSM_FAULT" });
      t.equal(faulty.calls(pkcs11Call), 1);
      faulty.set(pkcs11Call, "lie", 1);
      await t.rejects(make(), { code: "KEY_NOT_DURABLE" }, "made, says the module, and it is not there");
      faulty.clear();
    }
    t.same(await call("sealKeys", {}), [], "nothing is left of them");
    await t.rejects(call("publicKey", { role: "authority" }), { code: "KEY_MISSING" });
    close();
  });

  void t.test("what is made or destroyed is looked for in a re-initialised module; what does not work is cleared away", async (t) => {
    const { call, close } = start();
    const reopened = async (what: string, run: () => Promise<unknown>) => {
      faulty.calls("C_Initialize");
      await run();
      t.ok(faulty.calls("C_Initialize") > 0, what);
    };
    await call("info", {});
    await reopened("a seal key made", () => call("createSealKey", { generation: 5 }));
    await reopened("a seal key destroyed", () => call("destroySealKey", { generation: 5 }));
    await reopened("a challenge secret made", () => call("createChallengeSecret", { box: "box-5", recipient: identity, info: message }));
    await reopened("a challenge secret removed", () => call("removeChallengeSecret", { box: "box-5" }));
    faulty.set("C_Sign", "corrupt", 1);
    await t.rejects(call("createKey", { role: "authority" }), { code: "KEY_NOT_DURABLE" });
    faulty.clear();
    await t.rejects(call("publicKey", { role: "authority" }), { code: "KEY_MISSING" });
    t.equal((await call("createKey", { role: "authority" })).length, 65, "so it can be made again");
    close();
  });

  void t.test("a destruction that did not happen is seen", async (t) => {
    const { call, close } = start();
    await call("createSealKey", { generation: 7 });
    await call("createChallengeSecret", { box: "box-7", recipient: identity, info: message });
    faulty.set("C_DestroyObject", "lie");
    await t.rejects(call("destroySealKey", { generation: 7 }), { code: "KEY_NOT_DESTROYED" });
    await t.rejects(call("removeChallengeSecret", { box: "box-7" }), { code: "KEY_NOT_DESTROYED" });
    faulty.set("C_DestroyObject", "0x06");
    await t.rejects(call("destroySealKey", { generation: 7 }), { code: "HSM_FAULT" });
    t.same(await call("sealKeys", {}), [7], "it is still there, and said to be");
    faulty.clear();
    await call("destroySealKey", { generation: 7 });
    t.same(await call("sealKeys", {}), []);
    close();
  });

  void t.test("a challenge secret of another length is not stored", async (t) => {
    const { call, close } = start();
    const recipient = await call("createSealKey", { generation: 8 });
    for (const length of [31, 33]) {
      const sealed = seal(recipient, message, new Uint8Array(0), new Uint8Array(length));
      await t.rejects(call("acceptChallengeSecret", { box: "box-8", generation: 8, ...sealed, info: message }), { code: "CHALLENGE_SECRET_INVALID" });
    }
    await t.rejects(call("mac", { box: "box-8", message }), { code: "KEY_MISSING" });
    await call("destroySealKey", { generation: 8 });
    close();
  });

  void t.test("a self-test that gets a wrong answer", async (t) => {
    const { call, sign, close } = start();
    await call("selfTest", {});
    faulty.set("C_Sign", "corrupt", 1);
    await t.rejects(call("selfTest", {}), { code: "HSM_SELF_TEST_FAILED" }, "the MAC");
    faulty.set("C_Sign", "corrupt", -1);
    await t.rejects(call("selfTest", {}), { code: "HSM_SELF_TEST_FAILED" }, "the signature");
    faulty.set("C_Sign", "lie");
    await t.rejects(sign(), { code: "HSM_FAULT", message: /128 bytes instead of 64/ }, "a result of another length");
    faulty.clear();
    close();
  });

  void t.test("every call has a schema that refuses what it should", (t) => {
    const { args } = hsmCalls.sign;
    t.notOk(args.safeParse({ role: "root", message }).success);
    t.notOk(args.safeParse({ role: "identity", message: new Uint8Array(1024 * 1024 + 1) }).success);
    t.notOk(hsmCalls.random.args.safeParse({ length: 1025 }).success);
    t.notOk(hsmCalls.random.args.safeParse({ length: 0 }).success);
    t.notOk(hsmCalls.createSealKey.args.safeParse({ generation: 0 }).success);
    t.notOk(hsmCalls.mac.args.safeParse({ box: "no such name!", message }).success);
    t.notOk(hsmCalls.openReceiving.args.safeParse({ id: "x".repeat(129) }).success);
    t.end();
  });
}
