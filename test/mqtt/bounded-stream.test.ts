import { connect, createServer, type Socket } from "node:net";
import t, { type Test } from "tap";
import { BoundedStream } from "../../agent/mqtt/bounded-stream.ts";
import { until } from "./support/wait.ts";

/** A bounded stream and the peer at the other end of its socket. */
async function pair(c: Test, bounds = { packetBytes: 100_000, queuedBytes: 1_000_000 }): Promise<{ stream: BoundedStream; socket: Socket; peer: Socket; errors: string[] }> {
  const errors: string[] = [];
  const server = createServer();
  c.teardown(() => { server.close(); });
  const accepted = new Promise<Socket>((resolve) => { server.once("connection", resolve); });
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", () => { resolve(); }); });
  const address = server.address();
  const peer = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
  const socket = await accepted;
  const stream = new BoundedStream(socket, bounds);
  stream.on("error", (error) => { errors.push("code" in error ? String(error.code) : error.message); });
  c.teardown(() => { stream.destroy(); peer.destroy(); });
  return { stream, socket, peer, errors };
}

const packet = (bytes: number): Buffer => Buffer.concat([Buffer.from([0x30, (bytes % 128) + 128, (bytes >> 7) % 128 + 128, bytes >> 14]), Buffer.alloc(bytes)]);

void t.test("bytes pass both ways, and an end is passed on", async (c) => {
  const { stream, peer, errors } = await pair(c);
  const there: Buffer[] = [];
  const back: Buffer[] = [];
  peer.on("data", (chunk) => { there.push(chunk); });
  stream.on("data", (chunk: Buffer) => { back.push(chunk); });
  const ended = [new Promise((resolve) => { peer.once("end", resolve); }), new Promise((resolve) => { stream.once("end", resolve); })];
  peer.write(packet(5));
  stream.cork();
  for (const text of ["a", "b", "c"]) stream.write(text);
  stream.uncork();
  await until(() => there.length > 0 && back.length > 0, "both ways");
  stream.end("d");
  await Promise.all(ended);
  c.equal(Buffer.concat(there).toString(), "abcd");
  c.same(Buffer.concat(back), packet(5));
  c.same(errors, []);
});

void t.test("what nobody reads stays with the sender", async (c) => {
  const { stream, socket, peer } = await pair(c);
  for (let i = 0; i < 200; i++) peer.write(packet(99_999));
  await until(() => socket.isPaused(), "it holds the sender up");
  c.ok(stream.readableLength < 1_000_000, `${stream.readableLength} bytes are kept`);
  let read = 0;
  stream.on("data", (chunk: Buffer) => { read += chunk.length; });
  await until(() => read === 200 * 100_003, "all of it, once it is read");
});

void t.test("writing never waits; a peer too far behind is let go", async (c) => {
  const { stream, peer, errors } = await pair(c);
  peer.pause();
  let written = 0;
  while (!stream.destroyed && written < 50_000_000) {
    await new Promise<void>((resolve) => { stream.write(Buffer.alloc(100_000), () => { resolve(); }); });
    written += 100_000;
  }
  c.same(errors, ["CONSUMER_TOO_SLOW"]);
});

void t.test("a packet too long ends it before it is read", async (c) => {
  const { stream, peer, errors } = await pair(c);
  stream.on("data", () => { c.fail("it was passed on"); });
  peer.write(packet(100_001).subarray(0, 4));
  await until(() => stream.destroyed, "it ends");
  c.same(errors, ["PACKET_TOO_LARGE"]);
});
