import t from "tap";
import { seal } from "../../agent/protocol/seal.ts";
import { challengeSecretContext } from "../../agent/protocol/joining.ts";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [
  { key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true },
  { key: "payroll", resource: "**", operations: ["mac"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true, limit: "2/minute" },
  { key: "payroll", resource: "**", operations: ["wrap"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "code", distinctBoxes: true },
  { key: "payroll", resource: "**", operations: ["unwrap"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "button", distinctBoxes: true },
];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

async function withKey(options: Partial<SiteOptions> = {}): Promise<InProcessSite> {
  const site = await InProcessSite.start({ people, rules, ...options });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  return site;
}

async function operate(site: InProcessSite, operation: "encrypt" | "mac" | "wrap" | "unwrap" = "encrypt"): Promise<string> {
  const running = use(site, "cli", { operation, payload: new Uint8Array([1]) });
  await touch(site, "box-1", "alice");
  return await finish(site, running).then(() => "done", (error: unknown) => (error as { code: string }).code);
}

/** Another secret in that box's HSM than the coordinator's. */
async function exchangeSecret(site: InProcessSite, box: string): Promise<void> {
  const { hsm } = site.box(box);
  const info = challengeSecretContext("test", box);
  const recipient = await hsm.createSealKey({ generation: 9 });
  await hsm.removeChallengeSecret({ box });
  await hsm.acceptChallengeSecret({ box, generation: 9, info, ...seal(recipient, info, new Uint8Array(), new Uint8Array(32).fill(7)) });
}

const liveness = async (site: InProcessSite, box: string): Promise<string> => {
  const { exchange } = site.clients.get("cli")!;
  const { clientRequests } = await import("../../agent/protocol/messages.ts");
  const { boxes } = await finish(site, exchange.request(clientRequests, "status", "coordinator", {}));
  return boxes.find((one) => one.box === box)!.state;
};

void t.test("one compromised HSM: out at once; a second within the window: held, not convicted", async (t) => {
  const site = await withKey();
  await exchangeSecret(site, "box-4");
  t.equal(await operate(site), "HSM_COMPROMISED");
  t.equal(await liveness(site, "box-4"), "quarantined");
  t.equal(await operate(site), "done", "the others serve on");
  await exchangeSecret(site, "box-5");
  t.equal(await operate(site), "HSM_COMPROMISED");
  t.equal(await liveness(site, "box-5"), "ready", "one sick coordinator must not convict the site");
});

void t.test("the coordinator's own HSM is tested before any verdict", async (t) => {
  const site = await withKey();
  const hsm = site.coordinatorHsm;
  hsm.verifyMac = () => Promise.resolve(false);
  hsm.selfTest = () => Promise.reject(new Error("sick"));
  t.equal(await operate(site), "COORDINATOR_HSM_FAULT");
  for (const box of ["box-1", "box-2", "box-3", "box-4", "box-5"]) t.equal(await liveness(site, box), "ready");
});

void t.test("a limit is counted by every holder, durably, and a restart opens no window", async (t) => {
  const site = await withKey();
  t.strictSame([await operate(site, "mac"), await operate(site, "mac"), await operate(site, "mac")], ["done", "done", "RATE_LIMITED"]);
  for (const box of ["box-2", "box-3", "box-4"]) await site.restartBox(box);
  await site.clock.advance(5000);
  t.equal(await operate(site, "mac"), "RATE_LIMITED");
  await site.clock.advance(60_000);
  t.equal(await operate(site, "mac"), "done");
});

void t.test("confirmation: the code was on a display; a button that is not there confirms nothing", async (t) => {
  const site = await withKey();
  t.equal(await operate(site, "wrap"), "done");
  t.match(site.box("box-1").shown.join("\n"), /cli asks to wrap payroll\/march with key payroll\n.*\ncode \d{4}/);
  t.equal(await operate(site, "unwrap"), "TIMED_OUT", "a finger without a press is refused, and asked for again until the time is over");
});

void t.test("lost, repeated and late messages change nothing but the time", async (t) => {
  const site = await withKey();
  const plain = site.hub.onDelivery;
  let n = 0;
  site.hub.onDelivery = (delivery) => {
    n += 1;
    // Lost; but not a client's answer: without it nobody is prompted, and it asks again (NOT_ACCEPTED).
    if (n % 7 === 0 && !delivery.topic.includes("/client/cli/down/")) return;
    plain(delivery);
    if (n % 3 === 0) plain(delivery); // twice
    if (n % 5 === 0) site.clock.after(900, delivery.deliver); // and once more, late
  };
  for (let i = 0; i < 3; i++) t.equal(await operate(site), "done");
});

void t.test("a box with an older site record is brought up to date; one that is shown a fork alarms and keeps its own", async (t) => {
  const site = await withKey();
  const { signStatement } = await import("../../agent/protocol/statement.ts");
  const { body } = site.record;
  const signer = { sign: (message: Uint8Array) => site.coordinatorHsm.sign("authority", message) };
  const offer = async (change: object) => {
    const record = await signStatement(signer, "site-record", "test", "coordinator", { ...body, ...change });
    return await finish(site, site.coordinatorExchange.request(boxRequests, "record", "box-1", { chain: [record] }), 10_000).then(() => "taken", (error: unknown) => (error as { code: string }).code);
  };
  const { statementHash } = await import("../../agent/protocol/statement.ts");
  t.equal(await offer({ rules: [] }), "RECORD_FORK");
  t.equal(await offer({ version: 3, previous: statementHash(site.record) }), "RECORD_GAP");
  t.equal(await offer({ version: 2, previous: statementHash(site.record), sealed: false }), "RECORD_SEALED", "also when the authority signs it");
});
