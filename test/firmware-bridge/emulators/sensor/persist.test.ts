import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { systemRandom } from "../../../../agent/runtime/random.ts";
import { loadFlash, saveFlash } from "../../../../firmware-bridge/emulators/sensor/persist.ts";
import { profileNamed } from "../../../../firmware-bridge/emulators/sensor/profiles.ts";

const r503 = profileNamed("r503");
const folder = mkdtempSync(join(tmpdir(), "shardkeep-flash-"));
t.teardown(() => { rmSync(folder, { recursive: true }); });

void t.test("a new module: factory settings, a serial number that says EMU and stays", (t) => {
  const path = join(folder, "new");
  const flash = loadFlash(path, r503, systemRandom);
  t.match(flash, { password: 0, address: 0xffffffff, security: 3, packetSize: 2, baud: 6, library: new Map(), notepad: new Uint8Array(512) });
  t.match(flash.serial, /^EMU[0-9A-Z]{5}$/);
  t.same(loadFlash(path, r503, systemRandom), flash);
  t.not(loadFlash(join(folder, "other"), r503, systemRandom).serial, flash.serial);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.end();
});

void t.test("all of the flash comes back", (t) => {
  const path = join(folder, "full");
  const flash = {
    ...loadFlash(path, r503, systemRandom), password: 0xfffffffe, address: 0x12345678, security: 5, packetSize: 0, baud: 12,
    library: new Map([[0, systemRandom.bytes(1536)], [199, systemRandom.bytes(1536)]]), notepad: systemRandom.bytes(512),
  };
  saveFlash(path, r503, flash);
  t.same(loadFlash(path, r503, systemRandom), flash);
  t.end();
});

void t.test("what is no state file, or another model's, is refused and left alone", (t) => {
  const path = join(folder, "bad");
  loadFlash(path, r503, systemRandom);
  const good = readFileSync(path, "utf8");
  t.throws(() => loadFlash(path, profileNamed("r307"), systemRandom), { code: "STATE_DAMAGED", message: /R503, not of a R307/ });
  for (const bad of ["", "{}", good.slice(0, -2), good.replace("\"security\":3", "\"security\":6"), good.replace("EMU", "GRO"), good.replace("{", "{\"more\":1,"), good.replace("AAAA", "AA*A"), good.replace("AAAA", "")]) {
    t.not(bad, good);
    writeFileSync(path, bad);
    t.throws(() => loadFlash(path, r503, systemRandom), { code: "STATE_DAMAGED" }, bad.slice(0, 40));
    t.equal(readFileSync(path, "utf8"), bad);
  }
  t.end();
});
