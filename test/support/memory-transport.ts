import type { Transport } from "../../agent/mqtt/connection.ts";
import { MqttError } from "../../agent/mqtt/errors.ts";

type Handler = (topic: string, payload: Uint8Array, retained: boolean) => void;
interface Peer { readonly name: string; readonly filters: Set<string>; readonly handlers: Handler[]; up: boolean }

/** One delivery on its way; the hub's owner decides when, whether and how often it arrives. */
export interface Delivery {
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly deliver: () => void;
}

const matches = (filter: string, topic: string): boolean => {
  const wanted = filter.split("/");
  const given = topic.split("/");
  return wanted.length === given.length && wanted.every((part, i) => part === "+" || part === given[i]);
};

/** A broker in memory with the interface that the logic sees; `onDelivery` may delay, drop, repeat or reorder. */
export class MemoryHub {
  readonly #peers = new Set<Peer>();
  readonly #retained = new Map<string, Uint8Array>();
  onDelivery: (delivery: Delivery) => void = ({ deliver }) => { queueMicrotask(deliver); };

  connect(name: string): Transport & { setUp(up: boolean): void } {
    const peer: Peer = { name, filters: new Set(), handlers: [], up: true };
    const states: ((state: "up" | "down") => void)[] = [];
    this.#peers.add(peer);
    return {
      get up() { return peer.up; },
      publish: (topic, payload, options = {}) => {
        if (!peer.up) return Promise.reject(new MqttError("NOT_CONNECTED", `${name} is not connected`, { retryable: true }));
        if (options.retain === true) this.#retained.set(topic, payload);
        for (const other of this.#peers) {
          if ([...other.filters].some((filter) => matches(filter, topic))) this.#send(name, other, topic, payload, false);
        }
        return Promise.resolve();
      },
      subscribe: (filters) => {
        for (const filter of filters) {
          peer.filters.add(filter);
          for (const [topic, payload] of this.#retained) if (matches(filter, topic)) this.#send("", peer, topic, payload, true);
        }
        return Promise.resolve();
      },
      onMessage: (handler) => { peer.handlers.push(handler); },
      onState: (handler) => { states.push(handler); handler("up"); },
      setUp: (up) => { peer.up = up; for (const handler of states) handler(up ? "up" : "down"); },
      close: () => { peer.up = false; this.#peers.delete(peer); return Promise.resolve(); },
    };
  }

  #send(from: string, peer: Peer, topic: string, payload: Uint8Array, retained: boolean): void {
    this.onDelivery({
      from, to: peer.name, topic, payload,
      deliver: () => { if (peer.up) for (const handler of peer.handlers) handler(topic, payload, retained); },
    });
  }
}
