import type { Progress } from "../agent/client/index.ts";
import { printable } from "./output.ts";

/** How people wait: one live line on a terminal, plain lines elsewhere; always on stderr. */
export interface Waiting {
  readonly show: (progress: Progress) => void;
  /** Leaves the last line standing. */
  readonly end: () => void;
}

/** What a name alone does not say. */
const hints: Readonly<Partial<Record<Extract<Progress, { state: "refused-finger" }>["reason"], string>>> = {
  "not-confirmed": ": press the button of that box with the finger",
  "no-button": ": the rule asks for the button of the box, and its panel is not there; touch at another box",
};

/** What is said about a step; undefined where nothing is. `code` and `wanted` are of the accepted request. */
export function describe(progress: Progress, code: string, wanted: number): string | undefined {
  switch (progress.state) {
    case "accepted": return `accepted, code ${progress.code}`;
    case "waiting": return progress.still === ""
      ? `approved by ${progress.have.map(({ person, box }) => `${person} at ${box}`).join(", ")}, code ${code}`
      : `waiting for ${progress.still} at any sensor … ${progress.have.length} of ${wanted}, code ${code}`;
    case "refused-finger": return `finger refused at ${progress.box}: ${progress.reason}${hints[progress.reason] ?? ""}`;
    case "challenged": return `challenging the HSMs of ${progress.holders.join(", ")}`;
    case "answered": return undefined;
    case "released": return `shards from ${progress.holders.join(", ")}`;
    case "taken": return `${progress.box} has taken version ${progress.version}`;
    case "birth": return `key: ${progress.step}`;
  }
}

/** How many fingers the rule asks for. */
function fingers(progress: Extract<Progress, { state: "accepted" }>): number {
  return progress.rule.require.reduce((sum, one) => sum + ("role" in one ? one.people : 1), 0);
}

/** Refusals and the code stay on the screen; what only says how far it is, is written over. */
const passing = new Set<Progress["state"]>(["waiting", "challenged", "released", "birth"]);

export function waiting(stream: NodeJS.WriteStream = process.stderr): Waiting {
  let code = "";
  let wanted = 0;
  /** What stands on the live line; empty where there is none. */
  let live = "";
  let last = "";
  return {
    show: (progress) => {
      if (progress.state === "accepted") {
        code = progress.code;
        wanted = fingers(progress);
      }
      const text = describe(progress, code, wanted);
      if (text === undefined || text === last) return;
      last = text;
      const line = printable(text);
      const over = live === "" ? "" : "\r\x1b[K";
      if (stream.isTTY && passing.has(progress.state)) {
        stream.write(`${over}${line}`);
        live = line;
      } else {
        // What was waited for is still waited for.
        stream.write(`${over}${line}\n${live}`);
      }
    },
    end: () => {
      if (live !== "") stream.write("\n");
      live = "";
    },
  };
}
