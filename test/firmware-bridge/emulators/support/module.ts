import type { Finger, Outcome } from "../../../../firmware-bridge/emulators/sensor/command.ts";
import { advance } from "../../../../firmware-bridge/emulators/sensor/commands/auto.ts";
import { commandsOf, execute } from "../../../../firmware-bridge/emulators/sensor/commands/table.ts";
import { receiveData } from "../../../../firmware-bridge/emulators/sensor/commands/transfer.ts";
import { encode, PacketReader, pid } from "../../../../firmware-bridge/emulators/sensor/packets.ts";
import { profileNamed, type Profile } from "../../../../firmware-bridge/emulators/sensor/profiles.ts";
import { factoryFlash, powerUp, withFlash, type Flash, type State } from "../../../../firmware-bridge/emulators/sensor/state.ts";

export const header = "EF01FFFFFFFF";
const upper = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex").toUpperCase();

/** The pure half of an emulated module: hex in, hex out, no time and no line. */
export class PureModule {
  readonly profile: Profile;
  state: State;
  finger: Finger | null = null;
  #captures = 0;

  constructor(profile = "r503", flash: Partial<Flash> = {}) {
    this.profile = profileNamed(profile);
    this.state = withFlash(powerUp(this.profile, factoryFlash(this.profile, "00001")), flash);
    this.powerCycle();
  }

  powerCycle(): void {
    this.state = powerUp(this.profile, this.state.flash);
  }

  /** Whole packets as they stand on the wire (blanks allowed); the acks, each a whole packet. */
  wire(hex: string): string[] {
    const reader = new PacketReader();
    return reader.push(Buffer.from(hex.replaceAll(" ", ""), "hex")).flatMap((packet) => {
      if (packet.pid !== pid.command) {
        this.state = receiveData(this.profile, this.state, packet);
        return [];
      }
      const outcome = this.#settle(execute(commandsOf(this.profile), this.state, packet, this.#around()));
      return outcome.acks.map((content) => upper(encode({ address: outcome.state.flash.address, pid: pid.ack, content })));
    });
  }

  /** A command's content in hex; the contents of its acks and data. */
  ask(content: string): { acks: string[]; data: Uint8Array | undefined; reset: boolean } {
    const packet = { address: this.state.flash.address, pid: pid.command, content: Buffer.from(content.replaceAll(" ", ""), "hex"), intact: true };
    const outcome = this.#settle(execute(commandsOf(this.profile), this.state, packet, this.#around()));
    return { acks: outcome.acks.map(upper), data: outcome.data, reset: outcome.reset === true };
  }

  /** The one ack's content. */
  say(content: string): string {
    const { acks } = this.ask(content);
    return acks.length === 1 ? acks[0]! : `${acks.length} acks`;
  }

  data(content: Uint8Array, last = true, intact = true): void {
    this.state = receiveData(this.profile, this.state, { address: this.state.flash.address, pid: last ? pid.end : pid.data, content, intact });
  }

  /** Lets a waiting Auto command see the glass as it is, after `ms`. */
  wait(ms = 100): string[] {
    return this.#settle(advance(this.state, this.#around(), ms)).acks.map(upper);
  }

  touch(name: string, quality = 100): this {
    this.finger = { name, quality };
    return this;
  }

  /** Image and features into `buffer`. */
  capture(name: string, buffer: number): void {
    this.touch(name).say("01");
    this.say(`02 0${buffer}`);
  }

  enrol(name: string, slot: number, captures = 2): void {
    for (let n = 1; n <= captures; n++) this.capture(name, n);
    this.say("05");
    this.say(`06 01 ${slot.toString(16).padStart(4, "0")}`);
    this.finger = null;
  }

  #settle(outcome: Outcome): Outcome {
    this.state = outcome.state;
    return outcome;
  }

  #around() {
    return { profile: this.profile, finger: this.finger, random: { bytes: (length: number) => this.#bytes(length) } };
  }

  /** Never the same twice, always the same in a run. */
  #bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(0, ++this.#captures);
    return bytes;
  }
}
