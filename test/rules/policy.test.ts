import t from "tap";
import fc from "fast-check";
import { rule as ruleSchema, type Rule, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { decide, matchesResource, mayAttest, ruleFor, type Attestation } from "../../agent/rules/policy.ts";

const record = {
  people: [
    { id: "alice", roles: ["officer"], fingers: [] }, { id: "bob", roles: ["officer"], fingers: [] },
    { id: "carol", roles: ["officer", "custodian"], fingers: [] }, { id: "eve", roles: ["auditor"], fingers: [] },
  ],
  rules: [],
} as unknown as SiteRecordBody;
const make = (fields: object): Rule => ruleSchema.parse({ key: "payroll", operations: ["decrypt"], require: [{ role: "officer", people: 2 }], ...fields });
const at = (...pairs: readonly (readonly [string, string])[]): Attestation[] => pairs.map(([person, box]) => ({ person, box }));
const allowed = (rule: Rule, requester: string | undefined, attestations: readonly Attestation[]): boolean => decide(record, rule, requester, attestations).allowed;

void t.test("resources", async (t) => {
  for (const [pattern, resource, expected] of [
    ["payroll/**", "payroll/2026/march", true], ["payroll/**", "payroll", true], ["payroll/**", "payrolls/x", false], ["payroll/*", "payroll/2026", true],
    ["payroll/*", "payroll/2026/march", false], ["**", "anything/at/all", true], ["*/march", "2026/march", true], ["payroll", "payroll", true], ["payroll", "payroll/x", false],
  ] as const) t.equal(matchesResource(pattern, resource), expected, `${pattern} and ${resource}`);
});

void t.test("the first rule that fits governs, none is no", async (t) => {
  const first = make({ resource: "payroll/**" });
  const second = make({ resource: "**", require: [{ role: "officer", people: 1 }] });
  const body = { ...record, rules: [first, second] };
  t.equal(ruleFor(body, "payroll", "decrypt", "payroll/x"), first);
  t.equal(ruleFor(body, "payroll", "decrypt", "other"), second);
  t.equal(ruleFor(body, "payroll", "encrypt", "payroll/x"), undefined);
  t.equal(ruleFor(body, "other", "decrypt", "payroll/x"), undefined);
});

void t.test("people", async (t) => {
  const two = make({});
  t.ok(allowed(two, undefined, at(["alice", "box-1"], ["bob", "box-2"])));
  t.notOk(allowed(two, undefined, at(["alice", "box-1"])), "one is not two");
  t.notOk(allowed(two, undefined, at(["alice", "box-1"], ["alice", "box-2"])), "nobody counts twice");
  t.notOk(allowed(two, undefined, at(["alice", "box-1"], ["bob", "box-1"])), "each at another box");
  t.ok(allowed(make({ distinctBoxes: false }), undefined, at(["alice", "box-1"], ["bob", "box-1"])), "unless the rule says otherwise");
  t.notOk(allowed(two, undefined, at(["alice", "box-1"], ["eve", "box-2"])), "an auditor is no officer");
  t.notOk(allowed(two, undefined, at(["alice", "box-1"], ["mallory", "box-2"])), "nor is a stranger");
  const three = make({ require: [{ role: "officer", people: 2 }, { person: "carol" }] });
  t.ok(allowed(three, undefined, at(["carol", "box-3"], ["alice", "box-1"], ["bob", "box-2"])));
  t.notOk(allowed(three, undefined, at(["carol", "box-3"], ["alice", "box-1"])), "carol cannot be herself and an officer");
  t.ok(allowed(make({ require: [{ role: "officer", people: 1 }, { role: "custodian", people: 1 }] }), undefined, at(["carol", "box-3"], ["alice", "box-1"])), "whoever fits both is taken where she is needed");
});

void t.test("the requester", async (t) => {
  t.notOk(allowed(make({}), "alice", at(["alice", "box-1"], ["bob", "box-2"])), "never: does not count");
  t.notOk(mayAttest(record, make({}), "alice", "alice"));
  t.ok(allowed(make({ requester: "may" }), "alice", at(["alice", "box-1"], ["bob", "box-2"])));
  const one = { require: [{ role: "officer", people: 1 }] };
  t.notOk(allowed(make({ ...one, requester: "may" }), "alice", at(["alice", "box-1"])), "may, but not alone");
  t.ok(allowed(make({ ...one, requester: "must-attest" }), "alice", at(["alice", "box-1"])));
  t.notOk(allowed(make({ ...one, requester: "must-attest" }), "alice", at(["bob", "box-1"])), "must: somebody else is not enough");
  t.ok(allowed(make({ requester: "must-attest" }), "alice", at(["bob", "box-2"], ["carol", "box-3"], ["alice", "box-1"])), "whatever the order of the evidence");
  t.notOk(allowed(make({ ...one, requester: "must-attest" }), undefined, at(["bob", "box-1"])), "a service has no finger");
  t.match(decide(record, make({}), undefined, at(["alice", "box-1"])), { still: "officer" });
});

void t.test("more evidence never takes a permission away, and the order does not matter", async () => {
  const attestation = fc.record({ person: fc.constantFrom("alice", "bob", "carol", "eve"), box: fc.constantFrom("box-1", "box-2", "box-3") });
  const rules = fc.constantFrom(make({}), make({ requester: "may" }), make({ requester: "must-attest" }), make({ require: [{ role: "officer", people: 1 }, { person: "carol" }] }), make({ distinctBoxes: false }));
  fc.assert(fc.property(rules, fc.array(attestation, { maxLength: 6 }), attestation, fc.constantFrom(undefined, "alice"), (rule, have, more, requester) => {
    const before = allowed(rule, requester, have);
    return allowed(rule, requester, [...have].reverse()) === before && (!before || allowed(rule, requester, [...have, more]));
  }));
});

void t.test("an impossible rule over much evidence is decided quickly", async (t) => {
  const many = Array.from({ length: 16 }, (_, i) => ({ person: "alice", box: `box-${i}` }));
  t.notOk(allowed(make({ require: [{ role: "officer", people: 16 }] }), undefined, many));
});
