import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { readClient } from "../../agent/client/config.ts";
import { generateSigner, verifyEs256 } from "../../agent/protocol/es256.ts";
import { toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { generateKeyPair } from "../../agent/runtime/key-pair.ts";

/** A private key on another curve, of no use anywhere. */
const p384 = Buffer.from("MIGkAgEBBDC4e9OwvZBiGYv0QvDdbUbwP6jeNHvRk8QpbkE4E8ZcmK1A5fBF/hfuXh1EQK/Wse2gBwYFK4EEACKhZANiAATjIVsquhsBInnFQFJXYBlMvZgLz+QJeaArq5db86ITY4ssF3k6WU0RWUEvo0j32/m4Bcuu537RS6IBcM3AMf1PchmnDu1FS4BrKgdul2IFjtScAFNi4ZxxYklWd9QzfI8=", "base64");
const authority = generateSigner().publicKey;
const yaml = `site: plant\nclient: admin\nbroker: mqtts://localhost:8883\nauthority: ${authority}\n`;

function client(t: Test, text = yaml): { file: string; at: (name: string) => string; publicKey: string } {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-client-"));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  const at = (name: string): string => join(folder, name);
  const { pkcs8, point } = generateKeyPair();
  for (const name of ["tls.key", "tls.crt", "ca.crt"]) writeFileSync(at(name), `${name}\n`, { mode: 0o600 });
  writeFileSync(at("signing.key"), pkcs8, { mode: 0o600 });
  writeFileSync(at("client.yaml"), text);
  return { file: at("client.yaml"), at, publicKey: toBase64url(point) };
}

void t.test("files lie beside the configuration", async (t) => {
  const { file, publicKey } = client(t);
  const { config, tls, signer } = readClient(file);
  t.match(config, { site: "plant", client: "admin", coordinator: "coordinator", authority });
  t.same(tls, { key: "tls.key\n", cert: "tls.crt\n", ca: "ca.crt\n" });
  t.ok(verifyEs256(publicKey, utf8("message"), toBase64url(await signer.sign(utf8("message")))), "signs with the key in the file");
});

void t.test("private keys that others can read are refused", (t) => {
  for (const name of ["tls.key", "signing.key"]) for (const mode of [0o640, 0o604, 0o644]) {
    const { file, at } = client(t);
    chmodSync(at(name), mode);
    t.throws(() => readClient(file), { code: "KEY_FILE_EXPOSED", message: new RegExp(name.replace(".", "\\.")) }, `${name} ${mode.toString(8)}`);
  }
  t.end();
});

void t.test("bad files are named", (t) => {
  for (const name of ["tls.key", "tls.crt", "ca.crt", "signing.key"]) {
    const { file, at } = client(t);
    rmSync(at(name));
    t.throws(() => readClient(file), { code: "CONFIG_UNREADABLE", message: new RegExp(name.replace(".", "\\.")) }, `${name} is gone`);
  }
  const wrong = client(t);
  writeFileSync(wrong.at("signing.key"), "rubbish", { mode: 0o600 });
  t.throws(() => readClient(wrong.file), { code: "CONFIG_INVALID", message: /signing\.key/ });
  const other = client(t);
  writeFileSync(other.at("signing.key"), p384, { mode: 0o600 });
  t.throws(() => readClient(other.file), { code: "CONFIG_INVALID" }, "another curve");
  t.end();
});

void t.test("all problems at once", (t) => {
  const { file } = client(t, "site: Plant!\nbroker: mqtt://localhost\nauthority: AAAA\ncolour: red\n");
  t.throws(() => readClient(file), { code: "CONFIG_INVALID", message: /5 problems[^]*site[^]*client[^]*broker[^]*authority[^]*colour/ });
  t.end();
});
