import { z } from "zod";

const unitMs = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const isUnit = (text: string): text is keyof typeof unitMs => text in unitMs;

/** A time as a person writes it, `90s`, `30m` or `2h`, in ms. */
export const duration = z.string().regex(/^[1-9]\d{0,5}[smh]$/, "a number with s, m or h").transform((text) => {
  const unit = text.slice(-1);
  return Number(text.slice(0, -1)) * (isUnit(unit) ? unitMs[unit] : 0);
});

/** Likewise a long one, also in days: `7d`. */
export const longDuration = z.union([duration, z.string().regex(/^[1-9]\d{0,3}d$/, "").transform((text) => Number(text.slice(0, -1)) * 24 * unitMs.h)], "a number with h or d");

/** A time as a person reads it, by its two largest units: `2h 5m`. */
export function written(ms: number): string {
  const s = Math.floor(ms / unitMs.s);
  if (s < 60) return `${s}s`;
  if (s < 3600) return [`${Math.floor(s / 60)}m`, ...(s % 60 === 0 ? [] : [`${s % 60}s`])].join(" ");
  const m = Math.floor(s / 60);
  return [`${Math.floor(m / 60)}h`, ...(m % 60 === 0 ? [] : [`${m % 60}m`])].join(" ");
}
