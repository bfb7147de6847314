import { frame, joinReply, openFrame, sealFrame, type Invitation } from "../protocol/invitation.ts";
import type { BoxAnswer, BoxRequest } from "../protocol/joining.ts";
import { sleep, type Clock } from "../runtime/clock.ts";
import { hasCode, ShardkeepError } from "../runtime/errors.ts";
import type { Random } from "../runtime/random.ts";
import { wipe } from "../runtime/secrets.ts";

export class JoinError extends ShardkeepError<"JOIN_REFUSED" | "NOBODY_ANSWERS" | "AUTHORITY_WRONG"> {}

export interface JoinParts {
  /** One line to the coordinator, one back; rejects with LINE_UNANSWERED. */
  readonly ask: (line: string) => Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  /** The coordinator has the request, and people have not approved it yet. */
  readonly onWaiting: () => void;
}

const askEveryMs = 1000;
/** Nobody there who knows the code, for so long: then a person has to look. */
const patienceMs = 20_000;

/**
 * Asks the coordinator that gave `code` until it answers. What is not sealed under the code counts for nothing: whoever
 * stands between the two can only keep them apart. The code's secret is wiped when this ends, however it does.
 * Rejects with NOBODY_ANSWERS, JOIN_REFUSED, AUTHORITY_WRONG.
 */
export async function joinByCode(parts: JoinParts, code: Invitation, request: BoxRequest): Promise<BoxAnswer> {
  try {
    return await answerTo(parts, code, request);
  } finally {
    wipe(code.secret);
  }
}

async function answerTo({ ask, clock, random, onWaiting }: JoinParts, code: Invitation, request: BoxRequest): Promise<BoxAnswer> {
  const { site } = request;
  let heardAt = clock.now();
  let isWaiting = false;
  for (;;) {
    const reply = await once();
    if (reply !== undefined) heardAt = clock.now();
    if (reply?.state === "answered") {
      const { authority } = reply.answer.body.record.body;
      if (!code.isAuthority(authority)) throw new JoinError("AUTHORITY_WRONG", "the answer is of another authority than the code names", { remedy: "ask the administrator for a new code, and compare `shardkeep site show`" });
      return reply.answer;
    }
    if (reply?.state === "refused") throw new JoinError("JOIN_REFUSED", `${reply.code}: ${reply.message}`, { remedy: "mend that, or ask the administrator for a new code" });
    if (reply?.state === "waiting" && !isWaiting) onWaiting();
    isWaiting ||= reply?.state === "waiting";
    if (clock.now() - heardAt > patienceMs) throw new JoinError("NOBODY_ANSWERS", "nobody answers who knows this code", { retryable: true, remedy: "check the address; a code ends with its time, with a newer one, and with the coordinator's restart: then ask for another" });
    await sleep(clock, askEveryMs);
  }

  async function once() {
    try {
      const said = frame.safeParse(JSON.parse(await ask(JSON.stringify(sealFrame(code.secret, site, "ask", random.bytes(12), { request })))));
      return said.success ? joinReply.parse(openFrame(code.secret, site, "reply", said.data)) : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || hasCode(error, "LINE_UNANSWERED") || hasCode(error, "FRAME_INVALID")) return undefined;
      throw error;
    }
  }
}
