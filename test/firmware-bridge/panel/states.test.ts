import { readFileSync } from "node:fs";
import t from "tap";
import { root } from "#paths";
import { Player, type Outputs } from "../../../firmware-bridge/panel/player.ts";
import { hostSilent, panelStates, shows, type Show } from "../../../firmware-bridge/panel/states.ts";
import type { Clock } from "../../../agent/runtime/clock.ts";

const rhythm = (steps: readonly number[]): string => (steps.length === 0 ? "steady" : steps.join(" "));
const noise = ({ sound, again }: Show): string => (sound.length === 0 ? "–" : `${sound.join(" ")}${again ? " …" : ""}`);

void t.test("no two states have the same rhythm, whatever their colour", async (t) => {
  const rhythms = [hostSilent, ...panelStates.map((state) => shows[state])].map(({ light }) => rhythm(light));
  t.same([...new Set(rhythms)], rhythms);
  for (const state of panelStates) t.equal(shows[state].light.length % 2, 0, `${state}: what is lit goes dark again`);
});

void t.test("docs/panel.md says what the table says", async (t) => {
  const docs = readFileSync(`${root}docs/panel.md`, "utf8");
  const rows = panelStates.map((state) => {
    const show: Show = shows[state];
    return `| \`${state}\` | ${show.meaning} | ${show.colour} | ${rhythm(show.light)} | ${noise(show)} | ${show.ring} |`;
  });
  t.ok(docs.includes(`${rows.join("\n")}\n| – | ${hostSilent.meaning} | ${hostSilent.colour} | ${rhythm(hostSilent.light)} | – | – |\n`), rows.join("\n"));
});

/** A clock that stands still unless it is told to go on. */
function stepped(): { clock: Clock; pass: (ms: number) => void } {
  let now = 0;
  let timers: { at: number; task: () => void }[] = [];
  return {
    clock: { now: () => now, wall: () => "", after: (ms, task) => { const timer = { at: now + ms, task }; timers.push(timer); return () => { timers = timers.filter((other) => other !== timer); }; } },
    pass: (ms) => {
      const end = now + ms;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        timers = timers.filter((other) => other !== next);
        now = next.at;
        next.task();
      }
      now = end;
    },
  };
}

void t.test("the player: light and sound each by itself, one state at a time", async (t) => {
  const { clock, pass } = stepped();
  const seen: string[] = [];
  const outputs: Outputs = { light: (colour) => { seen.push(`${clock.now()} ${colour ?? "dark"}`); }, sound: (on) => { seen.push(`${clock.now()} ${on ? "loud" : "quiet"}`); } };
  const player = new Player(outputs, clock);
  player.play({ meaning: "", colour: "blue", light: [100, 50], sound: [30, 20, 30], again: false, ring: "off" });
  pass(200);
  t.same(seen.splice(0), ["0 dark", "0 quiet", "0 blue", "0 loud", "30 quiet", "50 loud", "80 quiet", "100 dark", "150 blue"]);
  player.refresh();
  t.same(seen.splice(0), ["200 blue", "200 quiet"]);
  player.play({ meaning: "", colour: "red", light: [], sound: [10, 90], again: true, ring: "off" });
  pass(200);
  t.same(seen.splice(0), ["200 dark", "200 quiet", "200 red", "200 loud", "210 quiet", "300 loud", "310 quiet", "400 loud"], "nothing of the one before");
  player.stop();
  pass(1000);
  t.same(seen, ["400 dark", "400 quiet"]);
});
