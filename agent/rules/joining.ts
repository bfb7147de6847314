import { boxRequest, type BoxRequest } from "../protocol/joining.ts";
import type { SiteRecord } from "../protocol/site-record.ts";
import { verifyStatement } from "../protocol/statement.ts";
import { fromBase64url } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";

export class JoinError extends ShardkeepError<"REQUEST_INVALID" | "NAME_TAKEN"> {}

const askAgain = "copy the file again, or run `shardkeep box request` again";

/**
 * Whether this is a box's request to join this site, signed by the key that it brings, under a name that is free or its
 * own (design §6). Before people are asked for their fingers as well as when the answer is made. Throws {@link JoinError}.
 */
export function judgeBoxRequest(raw: unknown, { site, body }: SiteRecord): BoxRequest {
  const parsed = boxRequest.safeParse(raw);
  if (!parsed.success) throw new JoinError("REQUEST_INVALID", "this is no box request, or half of one", { remedy: askAgain });
  const request = parsed.data;
  if (request.site !== site) throw new JoinError("REQUEST_INVALID", `this request is for site ${request.site}, here is ${site}`, { remedy: "take it to that site's coordinator; or mend `site` in the box's configuration, and `shardkeep box request` again" });
  if (!verifyStatement(request, site, request.body.key)) throw new JoinError("REQUEST_INVALID", `the request of ${request.by} is not signed by its own key`, { remedy: askAgain });
  if (fromBase64url(request.body.sealKey.key) === null) throw new JoinError("REQUEST_INVALID", "the request has no seal key", { remedy: askAgain });
  const known = body.boxes.find(({ id }) => id === request.by);
  if (known !== undefined && known.key !== request.body.key) throw new JoinError("NAME_TAKEN", `there is another box ${request.by} with another key`, { remedy: "an old request, from before that box was made anew? Take its new one; else give the new box another name" });
  if (body.retired?.includes(request.by) === true) throw new JoinError("NAME_TAKEN", `${request.by} has retired: old shards go by that name`, { remedy: "give the new box another name" });
  return request;
}
