import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, renameSync, rmSync, symlinkSync, write } from "node:fs";
import { ReadStream } from "node:tty";
import { EmulatorError } from "./errors.ts";

/** TIOCSPTLCK and TIOCGPTN (ioctl_tty(2)), which Node has no call for; perl-base is Essential in Debian. */
const unlockAndName = `
  open(my $m, "+<&=3") or die $!;
  my $zero = pack("i", 0); ioctl($m, 0x40045431, $zero) or die $!;
  my $number = pack("I", 0); ioctl($m, 0x80045430, $number) or die $!;
  print unpack("I", $number);`;
const openFlags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
/** A UART does not wait for its reader: what nobody takes within this time is lost. */
const patienceMs = 1000;

/**
 * The device end of a serial line: the master of a real pty, whose slave a driver opens as it would a
 * tty of an adapter (platform.md §1). One plugging-in; after `unplug()` make another.
 */
export class Pty {
  /** `/dev/pts/N` */
  readonly path: string;
  readonly #master: number;
  /** A slave descriptor of our own: without it the master reads EIO whenever the driver closes. */
  readonly #held: number;
  readonly #reader: ReadStream;
  readonly #link: string | undefined;
  #plugged = true;

  /** @param link a symlink that shall point to the slave while it is plugged in. @throws PTY_FAILED */
  constructor(onBytes: (bytes: Uint8Array) => void, link?: string) {
    this.#link = link;
    try {
      this.#master = openSync("/dev/ptmx", openFlags);
      const number = execFileSync("perl", ["-e", unlockAndName], { stdio: ["ignore", "pipe", "inherit", this.#master] });
      this.path = `/dev/pts/${number.toString("ascii")}`;
      execFileSync("stty", ["-F", this.path, "raw", "-echo"]);
      this.#held = openSync(this.path, openFlags);
      if (link !== undefined) pointTo(link, this.path);
    } catch (cause) {
      throw new EmulatorError("PTY_FAILED", `cannot make a pty${link === undefined ? "" : ` with a link at ${link}`}`, { cause, remedy: "check that the link's folder is there, /dev/pts mounted, perl and stty installed" });
    }
    this.#reader = new ReadStream(this.#master);
    this.#reader.on("data", (bytes: Buffer) => { onBytes(bytes); });
    this.#reader.on("error", () => undefined);
  }

  get plugged(): boolean {
    return this.#plugged;
  }

  /** Sends bytes to the driver; resolves when the kernel has them all, or nobody took them in a second. */
  async write(bytes: Uint8Array): Promise<void> {
    const giveUp = performance.now() + patienceMs;
    let rest = bytes;
    while (rest.length > 0 && this.#plugged && performance.now() < giveUp) {
      const taken = await this.#writeSome(rest);
      rest = rest.subarray(taken);
      if (taken === 0) await new Promise((resolve) => { setTimeout(resolve, 2); });
    }
  }

  /** fs.write, not the stream: libuv writes to a pty master *blocking*, and a full line would stop the process. */
  #writeSome(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#master, bytes, 0, bytes.length, null, (error, taken) => {
        if (error === null) resolve(taken);
        else if (error.code === "EAGAIN" || !this.#plugged) resolve(0);
        else reject(new EmulatorError("PTY_FAILED", `writing to ${this.path} failed`, { cause: error }));
      });
    });
  }

  /** Pulls the plug: whoever has the slave open gets a hang-up, and the link is gone. Idempotent. */
  unplug(): void {
    if (!this.#plugged) return;
    this.#plugged = false;
    if (this.#link !== undefined) rmSync(this.#link, { force: true });
    closeSync(this.#held);
    this.#reader.destroy();
  }
}

/** In one step, so that nobody ever finds the link missing. */
function pointTo(link: string, target: string): void {
  const next = `${link}.${process.pid}`;
  rmSync(next, { force: true });
  symlinkSync(target, next);
  renameSync(next, link);
}
