import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";

/** Resolves once `done` holds; rejects after `mostMs` naming `what`. */
export async function until(done: () => boolean, what: string, mostMs = 10_000): Promise<void> {
  const end = performance.now() + mostMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${mostMs} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

/** A loopback port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => { resolve(typeof address === "object" && address !== null ? address.port : 0); });
    });
  });
}

/** Two of them: asked for one after the other they may be the same. */
export async function twoFreePorts(): Promise<readonly [number, number]> {
  const first = createServer().listen(0, "127.0.0.1");
  await once(first, "listening");
  const { port } = first.address() as AddressInfo;
  const second = await freePort();
  first.close();
  await once(first, "close");
  return [port, second];
}

/** Resolves once something accepts connections on a loopback port. */
export function listens(port: number): Promise<void> {
  return new Promise((resolve) => {
    const knock = (): void => {
      const socket = connect(port, "127.0.0.1", () => { socket.destroy(); resolve(); });
      socket.on("error", () => { setTimeout(knock, 20); });
    };
    knock();
  });
}
