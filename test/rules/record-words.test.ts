import t from "tap";
import { rule, siteRecordBody, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { changesInWords } from "../../agent/rules/record-words.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { body, filled, keyOf } from "./support/site.ts";

const words = (change: Partial<SiteRecordBody>): string[] => changesInWords(body, { ...body, version: 6, previous: filled(32, 1), ...change });
const [box, ...boxes] = body.boxes as [SiteRecordBody["boxes"][number], ...SiteRecordBody["boxes"]];
const [alice, bob] = body.people as [SiteRecordBody["people"][number], SiteRecordBody["people"][number]];
const [decrypting, macing] = body.rules as [SiteRecordBody["rules"][number], SiteRecordBody["rules"][number]];

void t.test("what changes from one version to the next, in words", (t) => {
  const stranger = fingerprintOf(keyOf("stranger"));
  const cases: readonly (readonly [Partial<SiteRecordBody>, readonly string[]])[] = [
    [{}, []],
    [{ people: [alice] }, ["- person bob: officer", `- finger index of bob at box-2, slot 0, template ${filled(32, 12)}`, `- finger thumb of bob at box-3, slot 0, template ${filled(32, 13)}`]],
    [{ people: [{ ...alice, roles: [] }, bob] }, ["- person alice: officer", "+ person alice: no role"]],
    [{ people: [alice, bob, { id: "eve", roles: ["officer", "auditor"], fingers: [] }] }, ["+ person eve: officer, auditor"]],
    [{ rules: [{ ...decrypting, require: [{ role: "officer", people: 2 }] }, macing] }, [
      "- rule payroll payroll/**: decrypt, create need 1 × officer, each at another box; requester never, confirm none",
      "+ rule payroll payroll/**: decrypt, create need 2 × officer, each at another box; requester never, confirm none",
    ]],
    [{ rules: [macing, decrypting] }, ["~ rules in another order: payroll payroll/**: mac need 1 × officer, each at another box; requester never, confirm code | payroll payroll/**: decrypt, create need 1 × officer, each at another box; requester never, confirm none"]],
    [{ rules: [decrypting, macing, macing] }, ["+ rule payroll payroll/**: mac need 1 × officer, each at another box; requester never, confirm code"]],
    [{ rules: [decrypting, macing, rule.parse({ key: "k", operations: ["mac"], require: [{ person: "bob" }], limit: "2/day", distinctBoxes: false })] }, ["+ rule k **: mac need bob; requester never, confirm none, at most 2/day"]],
    [{ boxes: [{ ...box, key: keyOf("stranger") }, ...boxes] }, [`- box box-1 in here, key ${fingerprintOf(box.key)}`, `+ box box-1 in here, key ${stranger}`]],
    [{ boxes: [{ ...box, readmitted: 6 }, ...boxes] }, ["+ back from quarantine box-1 with version 6"]],
    [{ clients: [body.clients[0]!, { id: "service", key: keyOf("service"), admin: true }] }, [`- client service, key ${fingerprintOf(keyOf("service"))}`, `+ client service, administrator, key ${fingerprintOf(keyOf("service"))}`]],
    [{ coordinator: { id: "coordinator", key: keyOf("stranger") } }, [`- coordinator coordinator, key ${fingerprintOf(keyOf("coordinator"))}`, `+ coordinator coordinator, key ${stranger}`]],
    [{ tlsAuthority: filled(32, 1) }, [`- TLS authority ${filled(32, 8)}`, `+ TLS authority ${filled(32, 1)}`]],
    [{ authority: keyOf("stranger") }, [`- authority ${keyOf("authority")}`, `+ authority ${keyOf("stranger")}`]],
    [{ roles: ["officer", "auditor"] }, ["+ role auditor"]],
    [{ sealed: false }, ["- seal sealed"]],
    [{ noZoneHoldsThreshold: true }, ["+ limit of zones no zone holds a threshold of any key's shards"]],
    [{ noZoneHoldsThreshold: false }, []],
    [{ recovery: { key: keyOf("stranger"), delayMs: 7_200_000 } }, [`+ recovery key ${stranger}, in force after 2 h of each box's own running time`]],
    [{ boxes, retired: ["box-1"] }, [`- box box-1 in here, key ${fingerprintOf(box.key)}`, "+ retired name box-1"]],
  ];
  const told = new Set(cases.flatMap(([change, lines]) => (lines.length > 0 ? Object.keys(change) : [])));
  t.strictSame(Object.keys(siteRecordBody.shape).filter((name) => !told.has(name)), ["version", "previous"], "nothing of a record changes unseen");
  for (const [change, expected] of cases) t.strictSame(words(change), expected, Object.keys(change).join());
  t.end();
});
