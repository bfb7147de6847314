import { parseTopic } from "../protocol/topics.ts";

export type Kind = "box" | "client" | "coordinator";

/** The ACL of design §5 for the embedded broker: who may write a topic. */
export function mayWrite(kind: Kind, name: string, topicText: string): boolean {
  const topic = parseTopic(topicText);
  if (topic === null) return false;
  if (kind === "coordinator") return topic.kind === "coordinator" || topic.kind === "site" || topic.direction === "down";
  if (topic.kind === "box") return kind === "box" && topic.box === name && topic.direction === "up";
  return topic.kind === "client" && kind === "client" && topic.client === name && topic.direction === "up";
}

/** Who may read a topic that was published. */
export function mayRead(kind: Kind, name: string, topicText: string): boolean {
  const topic = parseTopic(topicText);
  if (topic === null) return false;
  if (topic.kind === "coordinator" || topic.kind === "site") return true;
  if (kind === "coordinator") return topic.direction === "up";
  if (topic.kind === "box") return kind === "box" && topic.box === name && topic.direction === "down";
  return kind === "client" && topic.client === name && topic.direction === "down";
}

/**
 * Who may subscribe to a filter: to a topic that it may read, or the coordinator to what everybody sends.
 * Wildcards are refused otherwise; what is delivered is judged again, message by message.
 */
export function maySubscribe(kind: Kind, name: string, filter: string, wildcards: readonly string[]): boolean {
  if (kind === "coordinator" && wildcards.includes(filter)) return true;
  return mayRead(kind, name, filter);
}
