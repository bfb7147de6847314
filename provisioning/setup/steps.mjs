import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** sysexits(3): a thing that set-up needs cannot be had here. */
export const unavailable = 69;

/** A failure that is told in words; `exitCode` is what the command ends with. */
export class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Runs, in order, the steps that are needed, and returns their names. A step is `{name, needed(), run(command)}`;
 * `needed` is cheap, reads only, and turns false as the last effect of `run`: so a run that was killed is
 * simply needed again, and when nothing is needed no lock is touched.
 */
export function runSteps(steps, lockFile, say) {
  if (!steps.some((step) => step.needed())) return [];
  const lock = takeLock(lockFile, say);
  const command = commands(lock, say);
  const ran = [];
  try {
    for (const step of steps) {
      // Asked again: whoever had the lock before us may have done it.
      if (!step.needed()) continue;
      say(step.name);
      step.run(command);
      ran.push(step.name);
    }
  } finally {
    closeSync(lock);
  }
  return ran;
}

/**
 * flock(2) belongs to the open file, which flock(1) shares with us: it ends and we hold the lock. The kernel
 * frees it when the last holder dies, so there is no stale lock.
 */
function takeLock(lockFile, say) {
  mkdirSync(dirname(lockFile), { recursive: true });
  const lock = openSync(lockFile, "a");
  const flock = (...options) => spawnSync("flock", [...options, "3"], { stdio: ["ignore", 2, 2, lock] });
  let taken = flock("--nonblock");
  if (taken.error !== undefined) throw new SetupError("the command flock is missing: install util-linux", unavailable);
  if (taken.status !== 0) {
    say("waiting for another set-up of this folder to end");
    taken = flock();
  }
  if (taken.status !== 0) throw new SetupError(`cannot lock ${lockFile}: does its file system have locks?`);
  return lock;
}

/**
 * Runs a program with its output on stderr. It inherits the lock: if set-up is killed while npm still
 * writes node_modules, the next set-up waits for npm's end too.
 */
function commands(lock, say) {
  return (file, args, options = {}) => {
    say(`  ${file} ${args.join(" ")}`);
    const done = spawnSync(file, args, { ...options, stdio: ["ignore", 2, 2, lock] });
    if (done.error !== undefined) throw new SetupError(`cannot start ${file}: ${done.error.message}`, unavailable);
    if (done.status !== 0) throw new SetupError(`${file} ${args.join(" ")} ended with ${done.signal ?? `exit ${done.status}`}`);
  };
}
