import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { acceptAnswer } from "../../agent/box/accept.ts";
import { boxConfig } from "../../agent/box/config.ts";
import { joinByCode } from "../../agent/box/join.ts";
import { makeRequest } from "../../agent/box/request.ts";
import { Invitations } from "../../agent/coordinator/invitations.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { invitationContext, mostFrame, readCode, sealFrame } from "../../agent/protocol/invitation.ts";
import { boxRequest } from "../../agent/protocol/joining.ts";
import { generateRecipient, open } from "../../agent/protocol/seal.ts";
import { systemClock, type Clock } from "../../agent/runtime/clock.ts";
import { bytesOf, toBase64url } from "../../agent/runtime/encoding.ts";
import { isNamed, ShardkeepError } from "../../agent/runtime/errors.ts";
import { askLine, serveLines } from "../../agent/runtime/lines.ts";
import { Ownership } from "../../agent/runtime/provision.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { secretCopy } from "../../agent/runtime/secrets.ts";
import { answering } from "../provisioning/answering.ts";
import { memoryHsm } from "./memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "./memory-store.ts";

/** `up`: what the box says; the others: what comes back to it before and after people have let it in. */
export const stretches = ["up", "waiting", "answered"] as const;
export type Stretch = (typeof stretches)[number];

/** One bit of byte `at` of what goes this way, on the next `left` connections. */
interface Flip { readonly way: "up" | "down"; readonly at: number; left: number }

/** Whoever stands between the two. */
async function proxyTo(port: number, flip: { now: Flip | undefined }) {
  const server = createServer((box) => {
    const coordinator = connect(port, "127.0.0.1");
    const ways = [["up", box, coordinator], ["down", coordinator, box]] as const;
    for (const [way, from, to] of ways) {
      let seen = 0;
      from.on("data", (part: Buffer) => {
        const { now } = flip;
        if (now?.way === way && now.left > 0 && now.at >= seen && now.at < seen + part.length) {
          now.left -= 1;
          part[now.at - seen]! ^= 1 << now.at % 8;
        }
        seen += part.length;
        to.write(part);
      });
      from.on("error", () => undefined);
      from.once("end", () => { to.end(); });
      from.once("close", () => { to.destroy(); });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: async () => { server.close(); await once(server, "close"); } };
}

/** Whoever asks with it has no patience left after one answer that counts for nothing. */
function hurried(): Clock {
  let now = 0;
  return { ...systemClock, now: () => (now += 30_000) };
}

/** It asks again at once, for ever. */
const patient: Clock = { ...systemClock, now: () => 0, after: (_, task) => { setImmediate(task); return () => undefined; } };

/** A box, a coordinator's listener, and a proxy between them. */
export async function flippedJoin() {
  const state = mkdtempSync(join(tmpdir(), "shardkeep-flipped-"));
  const config = boxConfig.parse({ site: "plant", box: "box-1", state, hsm: { module: "none", token: "box-1", pinFile: "pin" }, broker: "mqtts://localhost:1", sensor: { path: "tty" } });
  const [hsm, store] = [memoryHsm("box-1"), openMemoryStore(memoryDisk())];
  const quiet = (): void => undefined;
  const request = boxRequest.parse(await makeRequest(config, hsm, store, new Ownership(state, { site: "plant", name: "box-1" }), quiet));
  const site = await answering(request, memoryHsm("coordinator"));
  const answer = await site.signed();
  const logged: string[] = [];
  const note = (event: string): void => { logged.push(event); };
  const parts = { config: { site: "plant", join: {} }, site: { current: answer.body.record, kindOf: () => "box" }, clock: systemClock, random: systemRandom, log: { info: note, warn: note, error: note } };
  const invitations = new Invitations(parts as unknown as CoordinatorParts);
  const listener = await serveLines({ host: "127.0.0.1", port: 0, mostLength: mostFrame, answer: (line) => invitations.hear(line) });
  const flip: { now: Flip | undefined } = { now: undefined };
  const proxy = await proxyTo(listener.port, flip);
  const recipient = generateRecipient();
  const { enc, ct } = invitations.invite("box-1", 3_600_000, toBase64url(recipient.publicKey));
  const code = readCode(new TextDecoder().decode(open(recipient, bytesOf(enc), invitationContext("plant", "box-1"), new Uint8Array(0), bytesOf(ct))));
  let stretch: Stretch = "up";
  let heard = 0;

  /** What a box does that joins by its code. */
  const attempt = async (clock: Clock): Promise<void> => {
    const ask = async (line: string): Promise<string> => {
      const said = await askLine("127.0.0.1", proxy.port, line, mostFrame);
      heard = said.length + 1;
      return said;
    };
    const onWaiting = (): void => { throw new ShardkeepError("WAITING", "the coordinator has heard it"); };
    const got = await joinByCode({ ask, clock, random: systemRandom, onWaiting }, { ...code, secret: secretCopy(code.secret) }, request);
    await acceptAnswer(config, hsm, store, got, got.body.record.body.authority, quiet);
  };

  return {
    logged,
    /** What the coordinator has heard by this code. */
    heardOf: (): unknown => invitations.requestOf("box-1"),
    request,
    /** How long a line is that the box sends, and how long the last one was that it got; with their ends. */
    lengths: () => ({ up: JSON.stringify(sealFrame(code.secret, "plant", "ask", new Uint8Array(12), { request })).length + 1, down: heard }),
    /** From here on the coordinator is where that stretch of a join begins. */
    begin: (next: Stretch): void => {
      stretch = next;
      if (next === "answered") invitations.answered(answer);
    },
    /** A join of which byte `at` of this stretch is another one, on every connection or on the first: how it ended, `joined` or by which error. */
    flipped: async (at: number, times: "always" | "once" = "always"): Promise<string> => {
      flip.now = { way: stretch === "up" ? "up" : "down", at, left: times === "once" ? 1 : Infinity };
      try {
        await attempt(times === "once" ? patient : hurried());
        return "joined";
      } catch (error) {
        return isNamed(error) && (error.remedy !== undefined || error.code === "WAITING") ? error.code : String(error);
      } finally {
        flip.now = undefined;
      }
    },
    /** What joining changes at the box. */
    box: async () => ({ ...store.head, secret: await hsm.mac({ box: "box-1", message: new Uint8Array(1) }).then(() => true, () => false), certificate: existsSync(join(state, "tls", "box-1.pem")) }),
    close: async (): Promise<void> => {
      await proxy.close();
      await listener.close();
      invitations.end("box-1");
      rmSync(state, { recursive: true, force: true });
    },
  };
}
