import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import t from "tap";
import { generateKeyPair } from "../../agent/runtime/key-pair.ts";

void t.test("Node takes the key, and its point is the one that was told", async (t) => {
  // Enough for a scalar with a leading zero, which ECDH gives back a byte shorter: 1 in 256.
  for (let i = 0; i < 800; i++) {
    const { pkcs8, point } = generateKeyPair();
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    if (!spki.subarray(-65).equals(point)) t.fail("another point");
    if (i % 100 === 0) t.ok(verify("sha256", point, createPublicKey(key), sign("sha256", point, key)));
  }
});
