import { against, mutant, type Mutant } from "./mutant.ts";

const reshard = mutant("box/reshard");
const generations = mutant("box/generations");
const attempts = mutant("box/attempts");
const dealings = mutant("box/dealings");
const dealt = mutant("hsm/dealt");

const beginsWith = `        const { hsm, store } = this.#parts;\n        const from = this.#shelf.vault();`;

/** What a box does by itself: certificates asked for, stages durable before they are said, seal generations, deals. */
export const boxMutants: readonly Mutant[] = [
  reshard("stage-apart-from-shards", "a stage and its shards are two commits", [`await this.#attempts.commit([...this.#attempts.put({ ...attempt, stage: to, changed }), ...moves]);`,
    `await this.#attempts.commit(this.#attempts.put({ ...attempt, stage: to, changed }));\n        if (moves.length > 0) await this.#parts.store.commit(moves);`]),
  reshard("said-before-durable", "ACTIVATED leaves before the stage is durable", [`await this.#commit(attempt, this.#step(attempt, "activate"));`, `void this.#commit(attempt, this.#step(attempt, "activate"));`]),
  reshard("burn-before-durable", "BURN leaves and nothing is durable", [`await this.#commit(attempt, this.#step(attempt, "burn"));`, `this.#step(attempt, "burn");`]),
  reshard("destroyed-unfinished", "DESTROYED before the seal key is gone", [`if (!await this.#generations.sweep(this.#isUsed)) {`, `if (false) {`]),
  generations("seal-key-kept", "the seal key before is never destroyed", [`await hsm.destroySealKey({ generation: older });`, `;`]),
  generations("seal-key-shared", "the seal key goes while it still seals another key", [`const live = this.#shelf.all().filter(({ state }) => state !== "retired");`, `const live = this.#shelf.all().filter(({ state, record }) => state !== "retired" && retired.some((one) => one.record.key === record.key));`],
    [`one.generation !== generation || opens[i] !== true`, `false`]),
  generations("next-not-resealed", "an unfinished attempt's *old* and *next* are not sealed anew", [`filter(({ state }) => state !== "retired");\n        const sealed`, `filter(({ state }) => state === "current");\n        const sealed`],
    [`one.generation !== generation || opens[i] !== true`, `false`]),
  generations("seal-key-first", "the seal key goes before the new batch is durable", [beginsWith, `${beginsWith}\n        const destroyFirst = () => hsm.destroySealKey({ generation: from.generation });`],
    [`        await store.commit([\n            ...live.flatMap`, `        await destroyFirst();\n        await store.commit([\n            ...live.flatMap`]),
  generations("ending-forgotten", "a crash forgets the seal key that is to be destroyed", [`            putJson(endingKey, { generation: from.generation }),\n`, ``]),
  generations("new-vault-for-old", "the new generation keeps the vault before", [`const to = { generation, ...await hsm.createVault({ generation }) };`, `await hsm.createVault({ generation });\n        const to = from;`]),
  ...against("box", [
    reshard("check-unchecked", "PREPARED without looking at the CHECKs", [`verdict.kind !== "accepted"`, `false`],
      [`const verdict = await judgeReshardChecks(plan, transcript, checks, records.current);`, `const verdict = { kind: "accepted", proven: true };`]),
  ]),
  ...against("coordinator", [
    reshard("p-unchecked", "ACTIVATED without looking at P", [`batch === null || !isPreparedByAll(plan, batch, prepared, this.#parts.records.current)`, `batch === null`]),
    reshard("proof-unchecked", "ACTIVATED of an unproven attempt without PROVED", [`            requireProved(plan, batch, proof, this.#parts.records.current);\n`, ``]),
    reshard("d-unchecked", "the old shard goes without D", [`!isSettled({ plan, batch, activated }, this.#parts.records.current)`, `false`]),
    reshard("burn-unchecked", "an uncertified burn: *next* goes without the BURN certificate", [`!isBuried(burial, this.#parts.records.current)`, `false`]),
    reshard("plan-unchecked", "BURN for a plan that nobody signed", [`if (!isPlanned(plan, this.#parts.records.current))`, `if (false)`]),
    reshard("forgotten-burnt", "BURN of an attempt that is over and forgotten, though it was activated", [`        this.#requireNotPast(plan);\n`, ``]),
    reshard("limits-unchecked", "a plan is joined without being judged", [`judgeReshardPlan(plan, {`, `((_plan, _judge) => undefined)(plan, {`]),
    reshard("change-forgotten", "a change of holders does not begin the window", [`attempt.changed || (inForce && moves.length > 0 && this.#changesHolders(plan))`, `false`]),
    attempts("number-forgotten", "attempt numbers are not kept", [`...attempt.plan.body.keys.filter(({ key, attempt: number }) => number > this.last(key))`, `...[].filter(({ key, attempt: number }) => number > this.last(key))`]),
    attempts("window-from-now", "a change of holders is forgotten at once", [`this.#clock.now() - (this.#changedAt.get`, `Infinity - (this.#changedAt.get`]),
    dealings("joins-unchecked", "a dealer deals to whatever JOINs it is shown", [`        judgeJoins(plan, joins, records.current);\n`, ``]),
    dealings("sealed-unchecked", "CHECK is published without looking at SEALED", [`        judgeAllSealed(plan, transcript, sealed, records.current);\n`, ``]),
    dealings("check-repeated", "a second CHECK under one mask", [`if (dealing.check !== undefined)`, `if (false)`]),
    dealt("mask-used-twice", "the HSM publishes as often as it is asked", [`if (this.#given.has(side))`, `if (false)`]),
  ]),
];
