import t from "tap";
import { bytesOf, fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";

void t.test("text as bytes: one spelling for one value, nothing for any other", async (t) => {
  const bytes = new Uint8Array([0, 250, 255, 1]);
  t.equal(toBase64url(bytes), "APr_AQ");
  t.strictSame(bytesOf("APr_AQ"), bytes);
  for (const text of ["APr_AQ==", "APr/AQ", "APr_AR", "A"]) {
    t.equal(fromBase64url(text), null, text);
    t.equal(bytesOf(text).length, 0, text);
  }
});
