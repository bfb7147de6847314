import { ShardkeepError } from "../runtime/errors.ts";
import { id as idSchema } from "./primitives.ts";

export class TopicError extends ShardkeepError<"TOPIC_INVALID"> {}

/** Every topic of design §5 as a value; {@link topic} writes it, {@link parseTopic} is the inverse. */
export type Topic =
  | { readonly kind: "box"; readonly box: string; readonly direction: "up"; readonly what: Up }
  | { readonly kind: "box"; readonly box: string; readonly direction: "down"; readonly what: Down }
  | { readonly kind: "client"; readonly client: string; readonly direction: "up"; readonly what: Up }
  | { readonly kind: "client"; readonly client: string; readonly direction: "down"; readonly what: Down }
  | { readonly kind: "coordinator"; readonly what: "state" | "heartbeat" }
  | { readonly kind: "site"; readonly what: "record" | "event" };

const up = ["state", "heartbeat", "event", "response", "request"] as const;
const down = ["request", "response"] as const;
type Up = typeof up[number];
type Down = typeof down[number];

const root = "shardkeep/v1";

function oneOf<T extends string>(words: readonly T[], word: string | undefined): T | undefined {
  return words.find((known) => known === word);
}

/** The topic's text. Throws TOPIC_INVALID for a name that is no id: `a/up/#` would be another topic. */
export function topic(of: Topic): string {
  const text = write(of);
  if (parseTopic(text) === null) throw new TopicError("TOPIC_INVALID", `${text} is no topic`, { remedy: "ids are 1 to 32 of a-z, 0-9 and -" });
  return text;
}

function write(of: Topic): string {
  switch (of.kind) {
    case "box": return `${root}/box/${of.box}/${of.direction}/${of.what}`;
    case "client": return `${root}/client/${of.client}/${of.direction}/${of.what}`;
    case "coordinator": return `${root}/coordinator/${of.what}`;
    case "site": return `${root}/site/${of.what}`;
  }
}

/** The topic that `text` names, or null if it is none of ours. */
export function parseTopic(text: string): Topic | null {
  const parts = text.split("/");
  const [a, b, kind, ...rest] = parts;
  if (`${a ?? ""}/${b ?? ""}` !== root) return null;
  if (kind === "coordinator" || kind === "site") return parseShared(kind, rest);
  const [name = "", direction, word, ...more] = rest;
  if ((kind !== "box" && kind !== "client") || more.length > 0 || !idSchema.safeParse(name).success) return null;
  const who = kind === "box" ? { kind, box: name } as const : { kind, client: name } as const;
  const upWord = oneOf(up, word);
  const downWord = oneOf(down, word);
  if (direction === "up" && upWord !== undefined) return { ...who, direction, what: upWord };
  return direction === "down" && downWord !== undefined ? { ...who, direction, what: downWord } : null;
}

function parseShared(kind: "coordinator" | "site", rest: readonly string[]): Topic | null {
  const [word, ...more] = rest;
  if (more.length > 0) return null;
  if (kind === "coordinator") {
    const what = oneOf(["state", "heartbeat"] as const, word);
    return what === undefined ? null : { kind, what };
  }
  const what = oneOf(["record", "event"] as const, word);
  return what === undefined ? null : { kind, what };
}

/** What a coordinator subscribes to: all that boxes and clients send. */
export const everybodyUp = [`${root}/box/+/up/+`, `${root}/client/+/up/+`] as const;
