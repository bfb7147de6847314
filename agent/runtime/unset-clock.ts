import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Say } from "./steps.ts";

/** When there was no Shardkeep: a Pi without a clock wakes in 1970. */
const earliest = "2020";

/** Whether `wall`, ISO 8601, is a clock that nobody has set. A warning, never a refusal: no decision rests on it (design §4). */
export function isUnset(wall: string): boolean {
  return wall < earliest;
}

export const clockRemedy = "nothing stops for it, but logs are dated by it: timedatectl set-ntp true, or a clock with a battery";

/** As a step of a provisioning program, which goes on; nothing where the clock may be right. */
export function sayUnsetClock(say: Say, clock: Clock): void {
  const wall = clock.wall();
  if (isUnset(wall)) say("clock", "ok", { warning: `CLOCK_UNSET: it says ${wall}; ${clockRemedy}` });
}

/** As a line in the log of a program that starts. */
export function logUnsetClock(log: Log, clock: Clock): void {
  const wall = clock.wall();
  if (isUnset(wall)) log.warn("clock unset", { code: "CLOCK_UNSET", says: wall, remedy: clockRemedy });
}
