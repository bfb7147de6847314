import { mutant, type Mutant } from "./mutant.ts";

const drive = mutant("rules/reshard/drive");
const propose = mutant("rules/reshard/propose");
const batch = mutant("rules/reshard/batch");
const resharder = mutant("coordinator/reshard/resharder");
const journal = mutant("coordinator/reshard/journal");
const driver = mutant("coordinator/reshard/driver");
const shelf = mutant("coordinator/key-shelf");

/** What the coordinator journals before it says it, and carries to its end. */
export const coordinatorMutants: readonly Mutant[] = [
  { name: "burn-after-p", what: "a coordinator that crashes after P orders to burn", changes: [
    ...drive("", "", [`certified: { shows: "activate", on: { "activated-enough": "settled", "recovered"`, `certified: { shows: "activate", on: { "activated-enough": "settled", "failed": "burning", "recovered"`]).changes,
    ...resharder("", "", [`entry.phase === "planned" ? stepDrive(entry.phase, "failed") : null`, `stepDrive(entry.phase, "failed")`]).changes,
  ] },
  propose("window-unplanned", "the coordinator changes holders within the window", [`changing && !wish.mayChange`, `false`]),
  propose("x-taken", "a new holder gets an x that another has", [`while (taken.has(x))`, `while (false)`]),
  propose("floor-unplanned", "the coordinator plans below the floor", [`holders.length < Math.max(leastHolders, record.threshold + record.margin)`, `false`]),
  batch("unproven-batched", "an unproven attempt is of several keys", [`proposal.witnesses.length === threshold ? record.key : ""`, `""`]),
  resharder("number-reused", "an attempt takes the last one's number", [`attempt: this.#keys.lastAttempt(record.key) + 1`, `attempt: Math.max(2, this.#keys.lastAttempt(record.key))`]),
  resharder("number-not-durable", "attempt numbers are not journalled", [`await this.#journal.put(entry, plan.body.keys.map(({ key, attempt }) => this.#keys.attempted(key, attempt)));`, `await this.#journal.put(entry);`]),
  resharder("planned-not-journalled", "PLAN is said before it is durable", [`await this.#journal.put(entry, plan.body.keys`, `void this.#journal.put(entry, plan.body.keys`]),
  resharder("crash-forgotten", "what a crash cut off is not given up", [`void this.#giveUpUnfinished()`, `void Promise.resolve()`]),
  journal("not-durable", "the journal is kept in memory", [`await this.#store.commit(changes);`, `;`]),
  driver("late-not-shown", "who was away is not shown D", [`return this.#journal.concerned(entry).filter(`, `return holders.filter(`]),
  driver("not-driven", "a message that was lost is not shown again", [`for (const to of this.#audience(entry))`, `for (const to of this.#signed.has(statementHash(entry.plan)) && this.#asking.size === 0 ? [] : this.#audience(entry))`]),
  driver("record-not-kept", "D does not make the new records the newest", [`this.#keys.changes(records)`, `[]`]),
  shelf("record-not-taken", "the newest record is not what is planned on", [`for (const record of records)\n            this.#keys.set(record.key, { record, prepared: [] });`, ``]),
];
