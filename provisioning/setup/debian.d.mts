import type { Step } from "./steps.mjs";

export interface Requirement {
  readonly package: string;
  /** Only the compiling of the native module needs it. */
  readonly build?: boolean;
  /** Only a test needs it. */
  readonly test?: boolean;
  found(): boolean;
}

/** What the step asks of the machine; this one unless a test brings another. */
export interface Machine {
  readonly osRelease: string;
  /** The words before a command that make it root's: none for root itself, null where there is no way. */
  asRoot(): readonly string[] | null;
  readonly requirements: readonly Requirement[];
  /** Where packages are unpacked when there is no root. */
  readonly unpacked: string;
}

/** This machine, with what the tests and the demo need of Debian. */
export const machine: Machine;

/** Whether a program of this name is found. */
export function onPath(name: string): boolean;

/** `forTests` false: without what only tests need. */
export function debianStep(compiles: () => boolean, machine?: Machine, forTests?: boolean): Step;
