import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { ShardkeepError } from "./errors.ts";

/** One line to a server, one line back, over TCP: for two who have nothing in common yet but a code. */
export interface LineServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** The longest line that is read, in characters. */
  readonly mostLength: number;
  /** Undefined: the connection ends without a word. */
  readonly answer: (line: string) => string | undefined;
}

export interface LineServer {
  readonly port: number;
  close(): Promise<void>;
}

/** A stranger may hold a connection so long, and there are so few of them. */
const idleMs = 10_000;
const mostConnections = 16;

/** Resolves with the first line of what comes, undefined if the end comes before one or it gets too long. */
function firstLine(socket: Socket, mostLength: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
      const end = text.indexOf("\n");
      if ((end < 0 ? text.length : end) > mostLength) socket.destroy();
      else if (end >= 0) resolve(text.slice(0, end));
    });
    // What goes wrong with it ends it, and "close" follows.
    socket.on("error", () => undefined);
    socket.once("close", () => { resolve(undefined); });
  });
}

export async function serveLines({ host, port, mostLength, answer }: LineServerOptions): Promise<LineServer> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => { open.delete(socket); });
    socket.setTimeout(idleMs, () => { socket.destroy(); });
    void firstLine(socket, mostLength).then((line) => {
      const said = line === undefined ? undefined : answer(line);
      if (said === undefined) socket.destroy();
      else socket.end(`${said}\n`);
    });
  });
  server.maxConnections = mostConnections;
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Rejects with LINE_UNANSWERED if nobody is there or no whole line comes back. */
export async function askLine(host: string, port: number, line: string, mostLength: number): Promise<string> {
  const socket = connect({ host, port });
  socket.setTimeout(idleMs, () => { socket.destroy(); });
  try {
    const answered = firstLine(socket, mostLength);
    socket.write(`${line}\n`);
    const said = await answered;
    if (said === undefined) throw new ShardkeepError("LINE_UNANSWERED", `no answer from ${host}:${port}`, { retryable: true, remedy: "check address, port and firewall, and that the coordinator has `join.listen`" });
    return said;
  } finally {
    socket.destroy();
  }
}
