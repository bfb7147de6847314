import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Test } from "tap";

export const withoutSystemd = spawnSync("systemd-notify", ["--version"]).error === undefined ? false : "there is no systemd-notify: apt-get install systemd";

/** Node has no datagram sockets of Unix; perl is in every Debian. A line for each datagram, its lines joined by `;`. */
const receiver = `use Socket; $| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!;
print "bound\\n"; while (defined recv(S, $_, 4096, 0)) { tr/\\n/;/; print "$_\\n" }`;

export interface NotifySocket {
  readonly path: string;
  /** What was told, each assignment by itself. */
  readonly told: string[];
  /** Waits until `word` is told, anew. */
  readonly next: (word: RegExp) => Promise<string>;
}

/** A service manager as far as sd_notify(3) goes: a real datagram socket, gone after the test. */
export async function notifySocket(t: Test): Promise<NotifySocket> {
  // A socket's path has at most 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), "notify-"));
  const path = join(folder, "s");
  const child = spawn("perl", ["-e", receiver, path], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => { child.kill(); rmSync(folder, { recursive: true }); });
  const told: string[] = [];
  const waiting = new Set<(word: string) => void>();
  await new Promise<void>((resolve, reject) => {
    child.once("close", () => { reject(new Error("the receiver ended")); });
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "bound") resolve();
      else for (const word of line.split(";").filter((one) => one !== "BARRIER=1")) {
        told.push(word);
        for (const hear of [...waiting]) hear(word);
      }
    });
  });
  return {
    path, told,
    next: (expected) => new Promise((resolve) => {
      const hear = (word: string): void => {
        if (!expected.test(word)) return;
        waiting.delete(hear);
        resolve(word);
      };
      waiting.add(hear);
    }),
  };
}
