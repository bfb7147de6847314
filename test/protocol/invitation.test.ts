import fc from "fast-check";
import t from "tap";
import { invitationId, openFrame, readCode, sealFrame, writeCode } from "../../agent/protocol/invitation.ts";
import { filled, keyOf } from "../rules/support/site.ts";

const secret = Uint8Array.from({ length: 10 }, (_, i) => i * 25);
const authority = keyOf("authority");
const code = writeCode(authority, secret);
const iv = new Uint8Array(12);

void t.test("a code says whose site it is and the secret, however it is typed", (t) => {
  t.equal(writeCode(filled(65, 4), secret), "214NC-H5F6Q-2W2S5-T00CK-4JV4F-PBAZJ-714H8", "for ever the same");
  for (const typed of [code, code.toLowerCase(), code.replaceAll("-", ""), ` ${code.replaceAll("-", " ")}\n`, code.replaceAll("0", "o").replaceAll("1", "l")]) {
    const read = readCode(typed);
    t.same(read.secret, secret, typed);
    t.ok(read.isAuthority(authority));
    t.notOk(read.isAuthority(keyOf("stranger")));
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), (any) => Buffer.from(readCode(writeCode(authority, any)).secret).equals(any)));
  t.end();
});

void t.test("a slip of the hand is noticed: any one character, any two exchanged, one too few or too many", (t) => {
  const plain = code.replaceAll("-", "");
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  const wrong = Array.from(plain).flatMap((_, i) => Array.from(alphabet).map((one) => plain.slice(0, i) + one + plain.slice(i + 1)))
    .concat(Array.from(plain).slice(1).map((second, i) => plain.slice(0, i) + second + plain.charAt(i) + plain.slice(i + 2)))
    .filter((one) => one !== plain);
  const believed = wrong.filter((one) => { try { readCode(one); return true; } catch { return false; } });
  t.ok(believed.length <= 2, `${believed.length} of ${wrong.length}: one in 32,768 is expected`);
  for (const typed of ["", plain.slice(1), `${plain}0`, plain.replace(/.$/, "U"), plain.replace(/.$/, "*")]) t.throws(() => readCode(typed), { code: "CODE_INVALID" }, typed);
  t.end();
});

void t.test("a frame opens under its code, for its site and direction, whole or not at all", (t) => {
  const sealed = sealFrame(secret, "demo", "ask", iv, { hello: 1 });
  t.match(sealed, { v: 1, id: invitationId(secret) });
  t.same(openFrame(secret, "demo", "ask", sealed), { hello: 1 });
  const other = secret.map((byte) => byte ^ 1);
  const changed = (text: string): string => (text.startsWith("A") ? `B${text.slice(1)}` : `A${text.slice(1)}`);
  const cases: readonly (readonly [string, () => unknown])[] = [
    ["another code", () => openFrame(other, "demo", "ask", sealed)], ["another site", () => openFrame(secret, "other", "ask", sealed)], ["sent back", () => openFrame(secret, "demo", "reply", sealed)],
    ["changed", () => openFrame(secret, "demo", "ask", { ...sealed, ct: changed(sealed.ct) })], ["another iv", () => openFrame(secret, "demo", "ask", { ...sealed, iv: changed(sealed.iv) })],
    ["another id", () => openFrame(secret, "demo", "ask", { ...sealed, id: changed(sealed.id) })], ["cut", () => openFrame(secret, "demo", "ask", { ...sealed, ct: sealed.ct.slice(0, 8) })], ["nothing", () => openFrame(secret, "demo", "ask", { ...sealed, ct: "" })],
  ];
  for (const [what, open] of cases) t.throws(open, { code: "FRAME_INVALID" }, what);
  t.end();
});
