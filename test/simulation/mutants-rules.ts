import { against, mutant, type Mutant } from "./mutant.ts";

const attempt = mutant("rules/reshard/attempt");
const certificates = mutant("rules/reshard/certificates");
const plan = mutant("rules/reshard/plan");
const deal = mutant("rules/reshard/deal");
const reshare = mutant("sharding/reshare");
const degree = mutant("sharding/degree");

const anActivated = `        activate: go("activated", "none", "activated"),\n`;
const aWithdrawn = `        burn: go("withdrawn", "none", "burn"),\n        // D shows`;

/** Rules that boxes and coordinator share: the table of an attempt, certificates, limits, and the check of the deals. */
export const ruleMutants: readonly Mutant[] = [
  attempt("destroy-before-d", "the old shard goes with ACTIVATED", [`activate: go("activated", "promote", "activated")`, `activate: go("activated", "promote-and-retire", "activated")`]),
  attempt("next-dropped-at-own-burn", "*next* goes with the box's own BURN", [`        burn: go("withdrawn", "none", "burn"),\n        settle: go("settled", "promote-and-retire"),\n        bury: go("burnt", "drop-next"),\n    }),\n    withdrawn`, `        burn: go("withdrawn", "drop-next", "burn"),\n        settle: go("settled", "promote-and-retire"),\n        bury: go("burnt", "drop-next"),\n    }),\n    withdrawn`]),
  certificates("d-one-less", "D takes n'-2", [`Math.max(3, holders - 1)`, `Math.max(2, holders - 2)`]),
  certificates("burn-one-less", "the BURN certificate takes one less", [`activationsNeeded(holders) + 2`, `activationsNeeded(holders) + 1`]),
  reshare("mask-kept", "one mask for every attempt", [`const mask = random.bytes(16);`, `const mask = new Uint8Array(globalThis.keptMask ??= random.bytes(16));`]),
  ...against("box", [
    reshare("sum-unchecked", "the deals need not be of the same key", [`equalBytes(sumDealt, atZero) ?`, `sumDealt.length === atZero.length ?`]),
    degree("degree-unchecked", "sub-shares need not lie on one polynomial", [`if (!equal)\n                return false;`, ``]),
  ]),
  ...against("coordinator", [
    attempt("burn-after-activated", "BURN is signed after ACTIVATED", [anActivated, `${anActivated}        burn: go("activated", "none", "burn"),\n`]),
    attempt("activated-after-burn", "ACTIVATED is signed after BURN", [aWithdrawn, `        activate: go("activated", "promote", "activated"),\n${aWithdrawn}`]),
    attempt("no-return-to-old", "a buried attempt stays in force where it was activated", [`bury: go("burnt", "return-to-old")`, `bury: go("burnt", "none")`]),
    attempt("open-is-over", "a later attempt may begin while one is activated and undecided", [`stage === "settled" || stage === "burnt"`, `stage === "settled" || stage === "burnt" || stage === "activated"`]),
    attempt("prepared-is-over", "a later attempt may begin while *next* is kept", [`stage === "settled" || stage === "burnt"`, `stage === "settled" || stage === "burnt" || stage === "prepared" || stage === "withdrawn"`]),
    certificates("signers-counted-twice", "a certificate counts statements, not signers", [`return new Set(statements.filter((one) => holders.has(one.by) && fits(one) && isByBox(one, record)).map(({ by }) => by)).size;`, `return statements.filter((one) => holders.has(one.by) && fits(one) && isByBox(one, record)).length;`]),
    certificates("signatures-unchecked", "a certificate's signatures are not looked at", [`fits(one) && isByBox(one, record)).map`, `fits(one)).map`]),
    certificates("d-of-another-plan", "statements of any plan count for D", [`({ body }) => body.plan === planHash && body.batch === batch, record);\n    return isPlanned(plan, record) && count >= activationsNeeded`, `() => true, record);\n    return isPlanned(plan, record) && count >= activationsNeeded`]),
    certificates("burn-of-another-plan", "BURN of any plan counts", [`burns, ({ body }) => body.plan === planHash`, `burns, () => true`]),
    certificates("p-without-one", "P lacks one PREPARED", [`record) === plan.body.holders.length`, `record) >= plan.body.holders.length - 1`]),
    certificates("plan-of-anybody", "a plan's signature is not looked at", [`plan.by === coordinator.id && verifyStatement(plan, record.site, coordinator.key)`, `plan.by === coordinator.id`]),
    plan("two-changed", "a plan may change several holders", [`leave > 1 || come > 1`, `leave > 5`]),
    plan("window-unchecked", "holders may be changed within the window", [`leave + come > 0 && judge.changedLately(key)`, `false`]),
    plan("threshold-unchecked", "the threshold changes without people", [`body.nextThreshold !== current.threshold || body.size`, `body.size`]),
    plan("size-unchecked", "size and margin change without people", [`|| body.size !== current.size || body.margin !== current.margin`, ``]),
    plan("floor-unchecked", "fewer holders than threshold and margin", [`body.holders.length < leastHolders || body.holders.length < body.nextThreshold + body.margin`, `body.holders.length < body.nextThreshold`]),
    plan("witness-left-out", "an attempt may be unproven though more could witness", [`if (silent !== undefined)`, `if (false)`]),
    plan("attempt-reused", "the last attempt's number is taken again", [`attempt <= last ||`, `attempt < last ||`]),
    plan("open-unchecked", "a second attempt may begin before the first is decided", [`if (judge.isOpen(key))`, `if (false)`]),
    plan("record-unchecked", "a plan need not follow the record", [`if (!same)`, `if (false)`]),
    plan("x-repeated", "two holders may have one x", [`requireDistinct("holders", body.holders);`, ``]),
    deal("sealed-not-by-all", "CHECK is published when some have sealed", [`statements.length === boxes.length && boxes.every((box, i) => statements[i]?.by === box)`, `statements.length > 0`]),
    deal("other-transcript", "SEALED of any transcript counts", [`({ body }) => body.transcript === transcript, record, "SEALED"`, `() => true, record, "SEALED"`]),
  ]),
];
