import { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { keyNames, plantKeys } from "./plant.ts";
import { boxesOf, type Size } from "./site.ts";

/** What one batch says between coordinator and boxes, from PLAN to the last DESTROYED: requests and answers. */
export interface BatchMessages {
  readonly messages: number;
  /** Of the whole signed messages, without MQTT and TLS. */
  readonly bytes: number;
  readonly largestBytes: number;
}

const typed = z.looseObject({ body: z.looseObject({ type: z.string(), id: z.string() }) });

/**
 * `keys` keys in one batch, re-sharded round a box that fell silent, on a site in memory: the same logic as on a site
 * of processes, and nothing is late, so that nothing is said twice.
 */
export async function countMessages({ t, n }: Size, keys: number): Promise<BatchMessages> {
  const boxes = boxesOf(n);
  const lost = boxes.at(-1) ?? "";
  const site = await InProcessSite.start({ boxes: n, people: [], rules: [], config: { reshardWindowMs: 0 } });
  site.coordinator.stop();
  const planted = boxes.map((box) => ({ box, hsm: site.box(box).hsm, store: site.box(box).store }));
  await plantKeys(site.record.site, t, keyNames(keys), planted, openMemoryStore(site.coordinatorDisk));
  await site.startCoordinator();
  await site.clock.until(() => boxes.every((box) => site.coordinator.freshOf(box) !== undefined), 10_000, "every box heard");

  const sizes = new Map<string, number>();
  const deliver = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { type, id } = typed.parse(JSON.parse(new TextDecoder().decode(delivery.payload))).body;
    // By its id: the coordinator that was stopped still hears what is sent to the one that runs.
    if (/^(request|response)\/reshard-/.test(type)) sizes.set(id, delivery.payload.length);
    deliver(delivery);
  };
  site.box(lost).setUp(false);
  const shelves = boxes.filter((box) => box !== lost).map((box) => new Shelf(site.box(box).store, site.record.site, box));
  const isDone = (shelf: Shelf): boolean => shelf.all().every(({ state, record }) => state === "current" && record.epoch === 2);
  await site.clock.until(() => shelves.every(isDone), 300_000, `${keys} keys re-sharded`);
  await site.clock.advance(5000);
  return { messages: sizes.size, bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0), largestBytes: Math.max(...sizes.values()) };
}
