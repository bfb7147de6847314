import type { Hsm } from "../../agent/hsm/client.ts";
import { memoryHsm, memoryToken } from "../support/memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import type { Store } from "../../agent/store/store.ts";
import type { Life } from "./timeline.ts";

/** What outlives a crash of one machine: its disk, and what its HSM keeps. */
export class Machine {
  readonly name: string;
  readonly disk = memoryDisk();
  readonly token = memoryToken();

  constructor(name: string) {
    this.name = name;
  }

  /** What is durable at this moment, for those who may look into everything. */
  view(): Store {
    return openMemoryStore(this.disk);
  }
}

/** Stands before and after everything that a party does to the world; may end its life there. */
export interface Gate {
  (life: Life, machine: Machine, when: "before" | "after", effect: string): Promise<void>;
}

const never = new Promise<never>(() => undefined);

/** A dead party waits for ever: nothing that it had begun goes on. */
async function pass(gate: Gate, life: Life, machine: Machine, when: "before" | "after", effect: string): Promise<void> {
  if (life.alive) await gate(life, machine, when, effect);
  if (!life.alive) await never;
}

export function storeOf(machine: Machine, life: Life, gate: Gate): Store {
  return openMemoryStore(machine.disk, {
    before: () => pass(gate, life, machine, "before", "commit"),
    after: () => pass(gate, life, machine, "after", "commit"),
  });
}

/** The HSM process of one life: receiving keys and dealings are new, the token is what it was. */
export function hsmOf(machine: Machine, life: Life, gate: Gate, inner: Hsm = memoryHsm(machine.name, machine.token)): Hsm {
  return Object.fromEntries(Object.entries(inner).map(([name, call]) => [name, async (...args: readonly unknown[]) => {
    await pass(gate, life, machine, "before", name);
    const value = await (call as (...args: readonly unknown[]) => Promise<unknown>)(...args);
    await pass(gate, life, machine, "after", name);
    return value;
  }])) as unknown as Hsm;
}
