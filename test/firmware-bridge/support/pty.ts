import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";

/** TIOCSPTLCK and TIOCGPTN: perl-base is Essential in Debian, and Node has no ioctl. */
const unlock = 'open(my $m,"+<&=3") or die $!; my $z=pack("i",0); ioctl($m,0x40045431,$z) or die; my $b=pack("I",0); ioctl($m,0x80045430,$b) or die; print unpack("I",$b);';
const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;

/** The far end of a pseudo-terminal: what a device would be. */
export class Pty {
  /** What the driver opens. */
  readonly path: string;
  onData: (bytes: Uint8Array) => void = () => undefined;
  readonly #master: number;
  readonly #hold: number;
  readonly #reader: ReadStream;
  #gone = false;

  constructor() {
    this.#master = openSync("/dev/ptmx", flags);
    const number = execFileSync("perl", ["-e", unlock], { stdio: ["ignore", "pipe", "inherit", this.#master] }).toString();
    this.path = `/dev/pts/${number}`;
    execFileSync("stty", ["-F", this.path, "raw", "-echo"]);
    // Without a held slave the master gets EIO each time the driver closes (platform.md §1).
    this.#hold = openSync(this.path, flags);
    this.#reader = new ReadStream(this.#master);
    this.#reader.on("data", (bytes: Uint8Array) => { this.onData(bytes); });
    this.#reader.on("error", () => undefined);
  }

  say(bytes: Uint8Array): void {
    writeSync(this.#master, bytes);
  }

  /** Stops reading: the line fills up. */
  stall(): void {
    this.#reader.pause();
  }

  unplug(): void {
    if (this.#gone) return;
    this.#gone = true;
    closeSync(this.#hold);
    this.#reader.destroy();
  }
}
