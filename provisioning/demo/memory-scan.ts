import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

/**
 * Looks for secrets in another process's memory, as whoever owns the machine would: the process is
 * stopped, every readable mapping of /proc/PID/mem is read, and it goes on. Linux, same user or root.
 */
export class MemoryScanError extends ShardkeepError<"MEMORY_UNREADABLE"> {}

const chunkBytes = 4 * 1024 * 1024;
const stopMs = 2000;

interface Mapping {
  readonly start: number;
  readonly end: number;
}

/** Readable mappings, proc(5). The kernel's own pages ([vvar], [vsyscall]) hold nothing of the process. */
export function parseMaps(text: string): Mapping[] {
  return text.split("\n").flatMap((line) => {
    const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) r\S{3} \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined || /^\[v(?:var|syscall)/.test(name ?? "")) return [];
    return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
  });
}

/** How often any of `needles` (each not empty) stands in the memory of `pid`, and how much was read. Throws MEMORY_UNREADABLE. */
export async function scanMemory(pid: number, needles: readonly Uint8Array[]): Promise<{ copies: number; bytes: number }> {
  const longest = Math.max(0, ...needles.map((needle) => needle.length));
  let memory: number | undefined;
  try {
    process.kill(pid, "SIGSTOP");
    await stopped(pid);
    memory = openSync(`/proc/${pid}/mem`, "r");
    const chunk = Buffer.alloc(chunkBytes + longest);
    let [copies, bytes] = [0, 0];
    for (const { start, end } of parseMaps(readFileSync(`/proc/${pid}/maps`, "latin1"))) {
      for (let at = start; at < end; at += chunkBytes) {
        // The overlap finds what lies across two chunks; what begins in it is left to the next one.
        const wanted = Math.min(chunkBytes + longest - 1, end - at);
        const read = readAt(memory, chunk, wanted, at);
        bytes += Math.min(read, chunkBytes);
        for (const needle of needles) copies += count(chunk.subarray(0, read), needle);
      }
    }
    return { copies, bytes };
  } catch (cause) {
    throw new MemoryScanError("MEMORY_UNREADABLE", `cannot read the memory of process ${pid}`, { cause, remedy: "run as the same user or as root, on Linux" });
  } finally {
    if (memory !== undefined) closeSync(memory);
    try {
      process.kill(pid, "SIGCONT");
    } catch {
      // it is gone: nothing to let go on
    }
  }
}

/** The state letter follows the name in brackets, proc(5). */
async function stopped(pid: number): Promise<void> {
  for (let waited = 0; waited < stopMs; waited += 5) {
    if (/\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return;
    await sleep(5);
  }
  throw new Error(`process ${pid} did not stop in ${stopMs} ms`);
}

/** A page that cannot be read (a device's, or one that was unmapped) counts as empty. */
function readAt(file: number, into: Buffer, length: number, position: number): number {
  try {
    return readSync(file, into, 0, length, position);
  } catch {
    return 0;
  }
}

/** Occurrences that begin in the first `chunkBytes`. */
function count(haystack: Buffer, needle: Uint8Array): number {
  let found = 0;
  for (let at = haystack.indexOf(needle); at !== -1 && at < chunkBytes; at = haystack.indexOf(needle, at + 1)) found++;
  return found;
}
