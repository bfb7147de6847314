import { existsSync } from "node:fs";
import { join } from "node:path";
import { cache, findMosquitto, findSoftHsm, root, unpacked } from "#paths";
import t from "tap";

void t.test("the parts that set-up has brought are found, from the sources as from dist/", (t) => {
  t.ok(existsSync(join(root, "package.json")), root);
  t.equal(cache, join(root, ".cache"));
  for (const part of [findSoftHsm(), findMosquitto()]) {
    t.ok(part !== null && existsSync(part.file), part?.file ?? "missing");
    // Only an unpacked part needs its libraries named.
    t.equal(part?.env["LD_LIBRARY_PATH"] !== undefined, part?.file.startsWith(unpacked));
  }
  t.end();
});
