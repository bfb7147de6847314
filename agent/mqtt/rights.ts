import { everybodyUp, parseTopic } from "../protocol/topics.ts";

/** What an identity is; it decides what that identity may do. */
export type Kind = "box" | "client" | "coordinator";

/** The ACL of design §5, judged in code by the embedded broker; mosquitto.ts writes the same one as a file. */
export function mayWrite(kind: Kind, name: string, topicText: string): boolean {
  const topic = parseTopic(topicText);
  if (topic === null) return false;
  if (topic.kind === "coordinator" || topic.kind === "site") return kind === "coordinator";
  if (kind === "coordinator") return topic.direction === "down";
  return topic.kind === kind && nameIn(topic) === name && topic.direction === "up";
}

/** Who may be given a message of a topic. */
export function mayRead(kind: Kind, name: string, topicText: string): boolean {
  const topic = parseTopic(topicText);
  if (topic === null) return false;
  if (topic.kind === "coordinator" || topic.kind === "site") return true;
  if (kind === "coordinator") return topic.direction === "up";
  return topic.kind === kind && nameIn(topic) === name && topic.direction === "down";
}

/** Subscriptions are to single topics; the coordinator's two filters are the only ones with a wildcard. */
export function maySubscribe(kind: Kind, name: string, filter: string): boolean {
  if (kind === "coordinator" && everybodyUp.some((known) => known === filter)) return true;
  return mayRead(kind, name, filter);
}

function nameIn(topic: { readonly kind: "box"; readonly box: string } | { readonly kind: "client"; readonly client: string }): string {
  return topic.kind === "box" ? topic.box : topic.client;
}
