import type { Mutant } from "./mutant.ts";
import { boxMutants } from "./mutants-box.ts";
import { coordinatorMutants } from "./mutants-coordinator.ts";
import { ruleMutants } from "./mutants-rules.ts";

export const mutants: readonly Mutant[] = [...ruleMutants, ...boxMutants, ...coordinatorMutants];
