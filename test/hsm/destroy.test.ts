import pkcs11js, { type PKCS11 } from "pkcs11js";
import t from "tap";
import { destroyKeys, HsmProcess, lookAtTokens } from "../../agent/hsm/client.ts";
import type { Device, Session } from "../../agent/hsm/device.ts";
import { destroyEverything } from "../../agent/hsm/token.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { entry, freshHsm, softhsm } from "./fixtures/token.ts";

/** A token of labelled objects; `keeps` are those that it says to have destroyed and has not. */
function fake(objects: [kind: number, label: string][], keeps: readonly string[] = []): { readonly device: Device; readonly left: () => string[]; readonly order: string[] } {
  const there = new Map(objects.map(([kind, label], handle) => [handle, { kind, label }]));
  const order: string[] = [];
  let found: number[] = [];
  const api = {
    C_FindObjectsInit: (_: unknown, [{ value: kind }, label]: [{ value: number }, { value: string } | undefined]) => { found = [...there].filter(([, one]) => one.kind === kind && (label === undefined || one.label === label.value)).map(([handle]) => handle); },
    C_FindObjects: () => found.splice(0),
    C_FindObjectsFinal: () => undefined,
    C_GetAttributeValue: (_: unknown, handle: unknown, [one]: { type: number }[]) => [{ ...one, value: Buffer.from(there.get(handle as number)!.label) }],
    C_DestroyObject: (_: unknown, handle: unknown) => { const { label } = there.get(handle as number)!; order.push(label); if (!keeps.includes(label)) there.delete(handle as number); },
  } as unknown as PKCS11;
  const session = { api, handle: Buffer.alloc(0), found: new Map() } as Session;
  const device = { once: (_: string, use: (session: Session) => unknown) => use(session), reopen: () => undefined, sync: () => { order.push("sync"); } } as unknown as Device;
  return { device, order, left: () => [...there.values()].map(({ label }) => label) };
}

void t.test("ours alone, private ones first, and proven", (t) => {
  const { CKO_PRIVATE_KEY: priv, CKO_PUBLIC_KEY: pub, CKO_SECRET_KEY: secret } = pkcs11js;
  const one = fake([[pub, "sk:identity"], [secret, "sk:known-answer"], [priv, "sk:identity"], [priv, "somebody else's"]]);
  t.equal(destroyEverything(one.device), 3);
  t.same(one.order, ["sk:identity", "sk:known-answer", "sk:identity", "sync"]);
  t.same(one.left(), ["somebody else's"]);
  t.equal(destroyEverything(one.device), 0, "again");
  t.throws(() => destroyEverything(fake([[priv, "sk:seal:1"]], ["sk:seal:1"]).device), { code: "KEY_NOT_DESTROYED", message: /private key sk:seal:1/, remedy: String });
  t.end();
});

if (softhsm !== undefined) {
  void t.test("a real token", async (t) => {
    const { hsm, config } = await freshHsm(t);
    await hsm.createKey("identity");
    await hsm.createSealKey({ generation: 1 });
    const { serial } = await hsm.info();
    await hsm.stop();
    t.match(await lookAtTokens({ ...config, pinFile: "/none" }, { log: silentLog, entry }), [{ label: "box-1", serial, flags: Number }], "looked at without a PIN");
    t.ok(await destroyKeys(config, { log: silentLog, entry }) >= 5);
    t.equal(await destroyKeys(config, { log: silentLog, entry }), 0);
    const after = new HsmProcess(config, { log: silentLog, entry });
    await after.start();
    t.teardown(() => after.stop());
    t.same(await after.sealKeys(), []);
    await t.rejects(after.publicKey("identity"), { code: "KEY_MISSING" });
  });
}
