import { existsSync } from "node:fs";
import type { Client } from "../agent/client/index.ts";
import { ConfigError } from "../agent/runtime/config.ts";

/** One Ctrl-C may come twice: from the terminal, and passed on by npm or timeout(1). */
const sameInterruptMs = 1000;
/** As a shell reports a process that SIGINT ended. */
const interrupted = 130;

/** Runs `work` with a greeted client and closes it. The first Ctrl-C calls `onInterrupt`, a later one ends the process. */
async function withClient<T>(file: string, onInterrupt: (client: Client) => void, work: (client: Client) => Promise<T>): Promise<T> {
  if (!existsSync(file)) throw new ConfigError("CONFIG_UNREADABLE", `there is no ${file}`, { remedy: "say who asks: --client FILE or SHARDKEEP_CLIENT; `site init` and `client add` make such a file" });
  // MQTT and TLS take long to load: help and bad options do not wait for them.
  const { connectClient, readClient, systemParts } = await import("../agent/client/index.ts");
  const client = await connectClient(readClient(file), systemParts);
  let first: number | undefined;
  const interrupt = (): void => {
    if (first === undefined) onInterrupt(client);
    else if (performance.now() - first > sameInterruptMs) process.exit(interrupted);
    first ??= performance.now();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return await work(client);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await client.close();
  }
}

/** For requests that are answered at once: Ctrl-C ends the wait. */
export async function connected<T>(file: string, work: (client: Client) => Promise<T>): Promise<T> {
  return await withClient(file, (client) => { void client.close(); }, work);
}

/** For operations: Ctrl-C takes the request back, so that nobody's finger counts for it any more. */
export async function operating<T>(file: string, work: (client: Client, signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  return await withClient(file, () => { stop.abort(); }, (client) => work(client, stop.signal));
}
