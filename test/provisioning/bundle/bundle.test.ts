import { createPrivateKey, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { writeDurably, makeFolder } from "../../../agent/runtime/durable.ts";
import { generateKeyPair } from "../../../agent/runtime/key-pair.ts";
import { pairingFile } from "../../../firmware-bridge/biometrics/fingerprint/pairing-file.ts";
import { bundle, mapTexts } from "../../../provisioning/bundle/bundle.ts";
import { holds } from "../../../provisioning/bundle/redact.ts";
import { secretsOf } from "../../../provisioning/bundle/needles.ts";
import { box } from "../backup/support.ts";
import { shardkeep } from "../support.ts";

/** A P-256 key as it lies in a file, and its secret scalar. */
function keyFile(): { readonly pem: string; readonly der: Uint8Array; readonly scalar: Buffer } {
  const { pkcs8 } = generateKeyPair();
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return { pem: key.export({ format: "pem", type: "pkcs8" }).toString(), der: pkcs8, scalar: Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url") };
}

void t.test("every kind of secret, planted around and in the logs, is not in the bundle", async (t) => {
  const { at, of, file } = await box(t);
  const [tls, signing] = [keyFile(), keyFile()];
  const [password, marker, challengeSecret, shard, sealKey] = [4, 32, 32, 32, 48].map((length) => randomBytes(length)) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const pin = randomBytes(24).toString("hex");
  writeDurably(at("box-1", "pin"), `${pin}\n`);
  writeDurably(at("box-1", "tls", "box-1.key.pem"), tls.pem);
  makeFolder(at("box-1", "clients", "admin"));
  writeDurably(at("box-1", "clients", "admin", "signing.key"), signing.der);
  pairingFile(at("box-1", "sensor.json")).save({ confirmed: true, password: new Uint8Array(password), marker: new Uint8Array(marker) });
  writeFileSync(file, `${readFileSync(file, "utf8").replace(/\}$/, "")}} # the PIN is ${pin}\n`);

  const planted: Record<string, Buffer> = {
    "PIN": Buffer.from(pin), "TLS key": tls.scalar, "TLS key file": Buffer.from(tls.pem), "signing key": signing.scalar, "signing key file": Buffer.from(signing.der),
    "sensor password": password, "sensor marker": marker, "challenge secret": challengeSecret, shard, "seal key": sealKey,
  };
  const lines = Object.entries(planted).flatMap(([what, bytes]) => [
    bytes, bytes.toString("hex"), bytes.toString("hex").toUpperCase(), bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex").replace(/..(?=.)/g, "$& "), JSON.stringify([...bytes]),
  ].map((form) => Buffer.concat([Buffer.from(`<3>box-1: ${what.replaceAll(/[^a-z]/g, "")} `), Buffer.from(form), Buffer.from("\n")])));
  writeFileSync(at("box-1.log"), Buffer.concat([Buffer.from("<6>box-1: started site=\"plant\"\n"), ...lines, Buffer.from("<6>box-1: last line\n")]));

  const made = await shardkeep(["support-bundle", "--config", file, "--out", at("bundle.json"), "--log", at("box-1.log")], { cwd: at(".") });
  t.equal(made.code, 0, made.stderr);
  const whole = readFileSync(at("bundle.json"));
  for (const [what, bytes] of Object.entries(planted)) {
    for (const encoding of ["hex", "base64", "base64url", "latin1"] as const) {
      // What four bytes look like is found by chance; sixteen of them are not.
      const part = bytes.subarray(0, Math.min(bytes.length, 16));
      t.notOk(whole.includes(Buffer.from(part.toString(encoding).replace(/=+$/, ""), "latin1")), `${what}, ${encoding}`);
    }
    t.notOk(whole.includes(bytes), `${what}, raw`);
    t.notOk(whole.toString("latin1").toLowerCase().includes(bytes.toString("hex")), `${what}, any hex`);
    t.notOk(whole.includes([...bytes.subarray(0, 8)].join(",")), `${what}, numbers`);
  }
  t.equal(holds(whole, secretsOf(of)), undefined);
  t.same(secretsOf(of).map(({ what }) => what), ["PIN", "private key", "sensor password", "sensor marker", "private key"], "each is known by its file");

  const found = JSON.parse(whole.toString("utf8")) as { logs: { lines: string[] }[]; doctor: unknown[] };
  t.match(found, { format: 1, shardkeep: String, installation: { kind: "box", config: { box: "box-1", hsm: { pinFile: at("box-1", "pin") } } }, siteRecord: { body: { version: 3 } }, status: { error: { code: "NOT_CONNECTED" } } });
  t.ok(found.doctor.length > 10);
  t.equal(found.logs[0]?.lines[0], "<6>box-1: started site=\"plant\"", "what is no secret is there");
  t.equal(found.logs[0]?.lines.at(-1), "<6>box-1: last line");
});

void t.test("nothing is written that might hold one, or half of it", async (t) => {
  const { at, of } = await box(t);
  writeDurably(at("box-1", "pin"), "plant");
  await t.rejects(bundle({ of, logs: [at("none.log")], status: () => Promise.reject(new Error("no")) }), { code: "FILE_UNREADABLE" });
  t.equal(mapTexts("plant", () => "x"), "x");
  // A PIN that is a word of the document itself cannot be taken out: field names are ours.
  writeDurably(at("box-1", "pin"), "installation");
  await t.rejects(bundle({ of, logs: [], status: () => Promise.resolve(null) }), { code: "BUNDLE_UNSAFE", message: /the PIN/ });
  t.notOk(existsSync(join(at("."), "bundle.json")));
});
