import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, rmSync, symlinkSync, write } from "node:fs";
import { ReadStream } from "node:tty";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

export class PtyError extends ShardkeepError<"PTY_FAILED"> {}

/** TIOCSPTLCK and TIOCGPTN on file descriptor 3; Node has no ioctl, perl-base is essential in Debian. */
const unlockScript = 'open(my $m,"+<&=3") or die $!; my $z=pack("i",0); ioctl($m,0x40045431,$z) or die; my $b=pack("I",0); ioctl($m,0x80045430,$b) or die; print unpack("I",$b);';
const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
const againMs = 2;

/** The master end of a real pseudo-terminal: what a device would be on a serial line (platform.md §1). */
export class PtyMaster {
  readonly path: string;
  readonly #master: number;
  readonly #hold: number;
  readonly #input: ReadStream;
  readonly #link: string | undefined;
  #queue: Promise<void> = Promise.resolve();
  #gone = false;

  /** Makes one; `link` becomes a symbolic link to the slave, as udev would make it. */
  constructor(onData: (bytes: Uint8Array) => void, link?: string) {
    try {
      this.#master = openSync("/dev/ptmx", flags);
      const number = execFileSync("perl", ["-e", unlockScript], { stdio: ["ignore", "pipe", "inherit", this.#master] }).toString();
      this.path = `/dev/pts/${number}`;
      execFileSync("stty", ["-F", this.path, "raw", "-echo"]);
      // While nobody else has the slave open the master would read EIO.
      this.#hold = openSync(this.path, flags);
    } catch (cause) {
      throw new PtyError("PTY_FAILED", "cannot make a pseudo-terminal", { cause, remedy: "this needs Linux with /dev/ptmx, perl and stty" });
    }
    this.#input = new ReadStream(this.#master);
    this.#input.on("data", (chunk: Uint8Array) => { onData(chunk); });
    this.#input.on("error", () => { this.unplug(); });
    this.#link = link;
    if (link !== undefined) {
      rmSync(link, { force: true });
      symlinkSync(this.path, link);
    }
  }

  /** Sends bytes in order; those that the line does not take before it is unplugged are lost, as on a wire. */
  write(bytes: Uint8Array): Promise<void> {
    this.#queue = this.#queue.then(() => this.#writeAll(bytes));
    return this.#queue;
  }

  /** Pulls the plug: whoever has the slave open sees a hang-up. */
  unplug(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#link !== undefined) rmSync(this.#link, { force: true });
    closeSync(this.#hold);
    this.#input.destroy();
  }

  /** Not through the stream: libuv writes to a master blocking, and 60 kB dead-lock the process. */
  async #writeAll(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.length && !this.#gone) {
      const sent = await this.#writeSome(bytes.subarray(offset));
      if (sent === 0) await new Promise((resolve) => { setTimeout(resolve, againMs); });
      offset += sent;
    }
  }

  #writeSome(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve) => {
      write(this.#master, bytes, (error, count) => {
        if (error !== null && error.code !== "EAGAIN") this.unplug();
        resolve(error === null ? count : 0);
      });
    });
  }
}
