import { nextBody, withoutPerson, type Edit } from "../../../agent/rules/record-edits.ts";
import { asks, auditor, bob, both } from "../asks.ts";
import { endOf, type Scenario, type Stage } from "../stage.ts";
import { refusalOfAll, takeOver } from "./takeover.ts";

/** From now on it is Bob who opens what is public. */
const bobOpensPublic: Edit = (body) => ({
  ...body, rules: body.rules.map((rule) => (rule.resource === "public/**" ? { ...rule, require: [{ person: "bob" }] } : rule)),
});

async function requireEverywhere(stage: Stage, version: number): Promise<void> {
  const { siteRecord } = await stage.site.client.request("status", {});
  stage.expect(siteRecord.version === version, `the coordinator works with version ${siteRecord.version}`);
  await stage.site.boxesReady();
}

export const recordChange: Scenario = {
  name: "record-change", tells: "a rule changed and a person removed by two officers' fingers; without them refused, whoever signs", expected: "RECORD_SEALED", leaves: "ruins",
  play: async (stage) => {
    const { record } = stage.site.client;
    const made = await stage.step("two officers approve: another rule, and the auditor leaves", () => stage.changeRecord((body) => withoutPerson("eve")({ ...body, ...bobOpensPublic(body) }), "eve has left", both));
    stage.expect(made.body.version === record.body.version + 1 && !made.body.people.some(({ id }) => id === "eve"), "another version came than was asked for");
    await stage.step("every box has taken it", () => requireEverywhere(stage, made.body.version));
    await stage.step("the new rule governs: bob's finger opens what was alice's", async () => {
      const payload = new Uint8Array([1, 2, 3]);
      const sealed = await stage.use(asks.encryptPublic(payload), bob);
      const opened = await stage.use(asks.decryptPublic(sealed.result), bob);
      stage.expect(Buffer.from(opened.result).equals(payload), "what was opened is not what was sealed");
    });
    const gone = await stage.step("the auditor's finger is nobody's now", () => endOf(stage.use(asks.encrypt(new Uint8Array(8)), auditor)));
    stage.expect(gone === "INVALID_BIOMETRICS", `her finger ended with ${String(gone)}`);
    return await takeOver(stage, ({ rogue }) => stage.step("the authority signs a version that nobody approved: five of five boxes refuse", async () => {
      const next = await rogue.signRecord(nextBody(made, (body) => ({ ...body, rules: body.rules.map((rule) => ({ ...rule, require: [{ person: "alice" }] })) })));
      const replayed = refusalOfAll(stage, "with the evidence of the last change", await rogue.offerAll([{ ...next, approval: made.approval }]));
      stage.expect(replayed === "WRONG_SITE_RECORD", `with the evidence of the last change it ended with ${replayed}`);
      return refusalOfAll(stage, "without evidence", await rogue.offerAll([next]));
    }));
  },
};

export const rollbackRecord: Scenario = {
  name: "rollback-record", tells: "an old version of the site record, validly signed, is shown to the boxes again", expected: "RECORD_OLD", leaves: "marks",
  play: async (stage) => {
    const old = stage.site.client.record;
    const made = await stage.step("two officers approve another rule", () => stage.changeRecord(bobOpensPublic, "bob takes over", both));
    await stage.step("every box has taken it", () => requireEverywhere(stage, made.body.version));
    return await takeOver(stage, ({ rogue }) => stage.step("the version before it is shown: five of five boxes refuse", async () => {
      const again = refusalOfAll(stage, "the old rules as a new version", await rogue.offerAll([await rogue.signRecord(nextBody(made, () => old.body))]));
      stage.expect(again === "RECORD_SEALED", `the old rules as a new version ended with ${again}`);
      const other = refusalOfAll(stage, "another of the same version", await rogue.offerAll([await rogue.signRecord({ ...made.body, rules: old.body.rules })]));
      stage.expect(other === "RECORD_FORK", `another of the same version ended with ${other}`);
      return refusalOfAll(stage, "the old version", await rogue.offerAll([old]));
    }));
  },
};
