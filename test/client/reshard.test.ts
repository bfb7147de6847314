import t from "tap";
import { runRecover } from "../../agent/client/recover.ts";
import { runReshard } from "../../agent/client/reshard.ts";
import type { UseParts } from "../../agent/client/use.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import type { ApprovalFields, ReshardParameters, Use } from "../../agent/protocol/request.ts";
import { requestDigest } from "../../agent/protocol/request.ts";
import { refOf } from "../../agent/protocol/site-record.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { makeCurrent } from "../rules/reshard/support.ts";
import { body, boot, filled, keyOf, keys, record } from "../rules/support/site.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const wanted: ReshardParameters = { threshold: 3, size: 5, margin: 1, holders: ["box-1", "box-2", "box-3", "box-4", "box-5"] };

interface Lie { readonly fields?: (honest: ApprovalFields) => object; readonly answer?: (honest: KeyRecord) => object }

/** A coordinator that accepts what it is asked and answers at once, as `lie` says. */
function partsOf(lie: Lie): { said: string[]; parts: UseParts } {
  const said: string[] = [];
  const request = ((name: string, data: { use: Use }, { onPart }: { onPart?: (part: unknown) => void } = {}) => {
    said.push(name);
    if (name !== "use") return Promise.resolve({});
    const fields: ApprovalFields = {
      use: data.use, epoch: 4, attempt: 6, record: filled(32, 51), coordinator: { id: "coordinator", boot }, siteRecord: refOf(record), deadlineMs: 60_000, nonces: [{ box: "box-1", nonce: filled(16, 1) }],
    };
    onPart?.({ state: "accepted", fields: lie.fields?.(fields) ?? fields, rule: body.rules[0] });
    const made = makeCurrent();
    return Promise.resolve({ digest: requestDigest(fields), record: made, ...lie.answer?.(made) });
  }) as unknown as UseParts["request"];
  return { said, parts: { site: "demo", client: "cli", signer: keys["cli"]!, request, clock: new VirtualClock(), random: systemRandom, boot: () => boot, siteRecord: () => refOf(record) } };
}

async function ask(lie: Lie = {}) {
  const { said, parts } = partsOf(lie);
  return { said, outcome: await runReshard(parts, { key: "payroll", reason: "test", wanted }) };
}

void t.test("the record of the plan that was approved; no payload is sent to anybody", async (t) => {
  const { said, outcome } = await ask();
  t.strictSame(outcome.record, makeCurrent());
  t.match(outcome, { code: /^[0-9]{4}$/, fields: { record: filled(32, 51), use: { body: { operation: "reshard", reshard: wanted, resource: "payroll" } } } });
  t.strictSame(said, ["use"]);
});

void t.test("a coordinator that lies", async (t) => {
  await t.rejects(ask({ fields: (fields) => ({ ...fields, enclave: { seal: keyOf("stranger"), sign: keyOf("stranger") } }) }), { code: "REQUEST_CHANGED", message: /enclave/ });
  const [first, ...others] = makeCurrent().holders;
  const lies: readonly Partial<KeyRecord>[] = [
    { plan: filled(32, 1) }, { key: "other" }, { epoch: 5 }, { attempt: 7 }, { threshold: 2 }, { size: 4 }, { margin: 0 }, { holders: others }, { holders: [{ ...first!, box: "box-9" }, ...others] },
  ];
  for (const lie of lies) await t.rejects(ask({ answer: (made) => ({ record: { ...made, ...lie } }) }), { code: "RESULT_INVALID" }, Object.keys(lie).join());
});

/** What comes back of people's word that box-9 is gone, in attempt 6 at epoch 4. */
const recover = (answer: Partial<KeyRecord>) => runRecover(partsOf({ answer: (made) => ({ record: { ...made, ...answer } }) }).parts, { key: "payroll", reason: "test", gone: ["box-9"] });

void t.test("a recovery ends forward with the record of that plan, back with one before it, and with no other", async (t) => {
  t.match(await recover({}), { isForward: true, fields: { use: { body: { operation: "recover", recover: { gone: ["box-9"] }, resource: "payroll" } } } });
  t.match(await recover({ epoch: 3, attempt: 2, plan: filled(32, 1) }), { isForward: false, record: { epoch: 3 } });
  for (const lie of [{ plan: filled(32, 1) }, { epoch: 5 }, { attempt: 7 }, { key: "other" }, { key: "other", epoch: 3 }]) await t.rejects(recover(lie), { code: "RESULT_INVALID" }, JSON.stringify(lie));
});
