import t from "tap";
import { hasCode } from "../../agent/runtime/errors.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [
  { key: "payroll", resource: "**", operations: ["create"], require: [{ role: "officer", people: 2 }], requester: "never", confirm: "none", distinctBoxes: true },
  { key: "payroll", resource: "payroll/**", operations: ["encrypt", "decrypt", "wrap", "unwrap"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true },
  { key: "payroll", resource: "public/**", operations: ["encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true },
];
const people = [
  { id: "alice", roles: ["officer"], boxes: ["box-1"] },
  { id: "bob", roles: ["officer"], boxes: ["box-2"] },
  { id: "eve", roles: ["auditor"], boxes: ["box-1"] },
];

async function siteWithKey(): Promise<InProcessSite> {
  const site = await InProcessSite.start({ people, rules });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  await finish(site, born);
  return site;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

void t.test("a key is born, encrypts and decrypts, and every enclave ends", async (t) => {
  const site = await siteWithKey();
  const encrypting = use(site, "cli", { operation: "encrypt", payload: text("hello") });
  await touch(site, "box-1", "alice");
  const { result: ciphertext } = await finish(site, encrypting);
  const parts: string[] = [];
  const decrypting = use(site, "cli", { operation: "decrypt", payload: ciphertext }, (part) => parts.push(part.state));
  await touch(site, "box-2", "bob");
  const { result } = await finish(site, decrypting);
  t.equal(new TextDecoder().decode(result), "hello");
  t.match(parts.join(), /^accepted,waiting,waiting,challenged,answered,answered,answered/);
  t.equal(site.enclaves.filter((one) => one.spent).length, 3);
  t.equal(site.enclaves.filter((one) => !one.ended).length, 1, "only the spare is left");

  const other = use(site, "cli", { operation: "decrypt", resource: "public/notice", payload: ciphertext });
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, other), { code: "CIPHERTEXT_INVALID" }, "under another resource it does not open");
});

void t.test("refusals have names", async (t) => {
  const site = await siteWithKey();
  await t.rejects(finish(site, use(site, "cli", { operation: "mac" })), { code: "NOT_PERMITTED" });
  const wrong = use(site, "cli", { operation: "encrypt" });
  for (let i = 0; i < 3; i++) await touch(site, "box-1", "a stranger");
  await t.rejects(finish(site, wrong), { code: "INVALID_BIOMETRICS" });
  const auditor = use(site, "cli", { operation: "encrypt" });
  for (let i = 0; i < 3; i++) await touch(site, "box-1", "eve");
  await t.rejects(finish(site, auditor), { code: "NOT_PERMITTED" });
  t.ok(hasCode(await finish(site, use(site, "cli", { operation: "encrypt" })).catch((error: unknown) => error), "TIMED_OUT"), "nobody touches");
});
