import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cache, findMosquitto, findSoftHsm, root, unpacked, type Part } from "#paths";
import t from "tap";

/** Output of a program in an environment of just what the part asks for. */
function output(part: Part, file: string, args: readonly string[]): string {
  const done = spawnSync(file, args, { encoding: "utf8", env: { PATH: process.env["PATH"], ...part.env }, cwd: root });
  return done.stdout + done.stderr;
}

void t.test("the paths are the project's, wherever this is run from", (t) => {
  t.ok(existsSync(join(root, "package.json")), root);
  t.equal(cache, join(root, ".cache"));
  t.end();
});

void t.test("what set-up has brought starts with the environment that it names", (t) => {
  const mosquitto = findMosquitto();
  const softhsm = findSoftHsm();
  if (mosquitto === null || softhsm === null) throw new Error("set-up brings both: run npm run setup");
  for (const part of [mosquitto, softhsm]) {
    t.equal(part.env["LD_LIBRARY_PATH"] !== undefined, part.file.startsWith(unpacked), "only an unpacked part needs its libraries named");
  }
  t.match(output(mosquitto, mosquitto.file, ["-h"]), /^mosquitto version 2\./);
  const load = 'new (require("pkcs11js").PKCS11)().load(process.argv[1]); console.log("loaded");';
  t.match(output(softhsm, process.execPath, ["-e", load, softhsm.file]), /^loaded/);
  t.end();
});
