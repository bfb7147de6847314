import type { z } from "zod";
import type { clientRequests } from "../protocol/messages.ts";
import type { Request } from "./client.ts";
import { ClientError } from "./errors.ts";

export type Status = Omit<z.infer<typeof clientRequests.status.response>, "next">;

/** What `status` tells, with all keys: those of a large site are several messages. Rejects with NOT_ACCEPTED, and as a request does. */
export async function wholeStatus(request: Request): Promise<Status> {
  const { next: second, keys, ...rest } = await request("status", {});
  const all = [...keys];
  for (let after = second; after !== undefined;) {
    const page = await request("status", { after });
    if (page.next !== undefined && page.next <= after) throw new ClientError("NOT_ACCEPTED", "the coordinator tells the same keys again and again");
    all.push(...page.keys);
    after = page.next;
  }
  return { ...rest, keys: all };
}
