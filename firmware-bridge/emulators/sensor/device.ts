import type { Clock } from "../../../agent/runtime/clock.ts";
import { concat } from "../../../agent/runtime/encoding.ts";
import type { Random } from "../../../agent/runtime/random.ts";
import { code } from "./codes.ts";
import type { Command, Outcome, Surroundings } from "./command.ts";
import { advance } from "./commands/auto.ts";
import { commandsOf, execute } from "./commands/table.ts";
import { receiveData } from "./commands/transfer.ts";
import { ActiveFaults } from "./faults/active.ts";
import { misbehave, searches } from "./faults/answers.ts";
import { isIncident, type Fault } from "./faults/fault.ts";
import { happen } from "./faults/incidents.ts";
import { spoil, wellSent } from "./faults/wire.ts";
import { Hand } from "./hand.ts";
import { dataPackets, sendPaced } from "./line.ts";
import { encode, PacketReader, pid, type Received } from "./packets.ts";
import type { Profile } from "./profiles.ts";
import { powerUp, type Flash, type State } from "./state.ts";
import { lineMs, workMs } from "./timing.ts";

export interface DeviceOptions {
  readonly profile: Profile;
  readonly flash: Flash;
  readonly clock: Clock;
  readonly random: Random;
  /** Divides every delay of the module and of its line; a person's time stays as it is. */
  readonly speed: number;
  /** To the host. */
  readonly send: (bytes: Uint8Array) => Promise<void>;
  /** Called with the flash whenever it has changed, before the ack. */
  readonly save: (flash: Flash) => void;
}

/** Silence on the line after which a packet that has begun will not be finished. */
const idleMs = 200;

/** One module: takes bytes from its line, and answers as the model of its profile would, as late as that would. */
export class EmulatedSensor {
  readonly hand: Hand;
  readonly faults = new ActiveFaults();
  readonly #options: DeviceOptions;
  readonly #commands: Readonly<Record<number, Command>>;
  readonly #reader = new PacketReader();
  readonly #heard = new Map<number, number>();
  #state: State;
  /** Grows with every loss of power: whatever belongs to an earlier life stops. */
  #life = 0;
  #phase: "off" | "starting" | "on" = "off";
  #work: Promise<void> = Promise.resolve();
  #waiting = 0;
  #previous: Uint8Array = new Uint8Array(0);
  /** Content of the ack of the last search that found somebody. */
  #lastMatch: Uint8Array | null = null;
  #cancelIdle: () => void = () => undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#commands = commandsOf(options.profile);
    this.#state = powerUp(options.profile, options.flash);
    this.hand = new Hand(options.clock);
  }

  get state(): State {
    return this.#state;
  }

  get powered(): boolean {
    return this.#phase !== "off";
  }

  /** Commands heard since the start of the emulator, by opcode. */
  get heard(): ReadonlyMap<number, number> {
    return this.#heard;
  }

  /** Starts the module if it is off: RAM is as after a power cut, and what arrives before it is ready is lost (§1.3). */
  powerOn(): void {
    if (this.#phase === "off") this.#start();
  }

  powerOff(): void {
    this.#life += 1;
    this.#phase = "off";
    this.#reader.forget();
    this.#state = powerUp(this.#options.profile, this.#state.flash);
  }

  /** Bytes from the host. */
  receive(bytes: Uint8Array): void {
    if (this.#phase !== "on" || this.faults.baudMismatch) return;
    for (const packet of this.#reader.push(bytes)) this.#enqueue((life) => this.#take(packet, life));
    this.#cancelIdle();
    if (!this.#reader.empty) this.#cancelIdle = this.#options.clock.after(idleMs, () => { this.#reader.forget(); });
  }

  /** Makes something go wrong, now or at the reply that it fits. @throws SLOT_EMPTY */
  suffer(fault: Fault): void {
    if (!isIncident(fault)) { this.faults.add(fault); return; }
    if (fault.name === "silent-repower") this.#life += 1;
    this.#become(happen(this.#options.profile, this.#state, fault));
    if (fault.name === "unsolicited-55") this.#greet();
  }

  #greet(): void {
    void this.#options.send(Uint8Array.of(0x55));
  }

  #start(): void {
    this.powerOff();
    this.#phase = "starting";
    const life = this.#life;
    const { profile, clock, speed } = this.#options;
    clock.after(profile.readyMs / speed, () => {
      if (life !== this.#life) return;
      this.#phase = "on";
      if (profile.greets) this.#greet();
    });
  }

  /** One thing after the other, and nothing of an earlier life. */
  #enqueue(task: (life: number) => Promise<void>): void {
    const life = this.#life;
    this.#waiting += 1;
    this.#work = this.#work.then(() => {
      this.#waiting -= 1;
      return life === this.#life ? task(life) : undefined;
    });
  }

  async #take(packet: Received, life: number): Promise<void> {
    const { profile } = this.#options;
    if (packet.address !== this.#state.flash.address) return;
    if (packet.pid === pid.data || packet.pid === pid.end) this.#state = receiveData(profile, this.#state, packet);
    else if (packet.pid === pid.command) await this.#obey(packet, life);
  }

  async #obey(packet: Received, life: number): Promise<void> {
    const { profile } = this.#options;
    const [opcode = -1] = packet.content;
    const rate = this.#state.ram.baud;
    this.#heard.set(opcode, (this.#heard.get(opcode) ?? 0) + 1);
    await this.#pass(lineMs(packet.content.length + 11, rate) + workMs(profile, this.#state, opcode));
    if (life !== this.#life) return;
    const outcome = this.faults.takeAnswer(opcode, (fault) => misbehave(fault, this.#state, opcode, this.#lastMatch))
      ?? execute(this.#commands, this.#state, packet, this.#around());
    if (searches.has(opcode) && outcome.acks[0]?.[0] === code.done) this.#lastMatch = outcome.acks[0];
    await this.#settle(opcode, outcome, rate, life);
    if (outcome.acks[0]?.[0] === code.done) this.hand.notice(opcode);
    if (life !== this.#life) return;
    if (outcome.reset) this.#start();
    else if (this.#state.ram.auto !== null) this.#watch(opcode);
  }

  /** A waiting Auto command looks at the glass again and again. */
  #watch(opcode: number): void {
    const { profile, clock, speed } = this.#options;
    clock.after(profile.captureMs / speed, () => {
      this.#enqueue(async (life) => {
        await this.#settle(opcode, advance(this.#state, this.#around(), profile.captureMs), this.#state.ram.baud, life);
        if (this.#state.ram.auto !== null) this.#watch(opcode);
      });
    });
  }

  /** Flash is saved before anything is acknowledged. */
  #become(state: State): void {
    if (state.flash !== this.#state.flash) this.#options.save(state.flash);
    this.#state = state;
  }

  /** New state; then acks and data, at the rate from before the command (§2.4). */
  async #settle(opcode: number, outcome: Outcome, rate: number, life: number): Promise<void> {
    this.#become(outcome.state);
    const { address, packetSize } = outcome.state.flash;
    const packets = [
      ...outcome.acks.map((content) => encode({ address, pid: pid.ack, content })),
      ...(outcome.data === undefined ? [] : dataPackets(address, outcome.data, 32 << packetSize)),
    ];
    const { clock, speed, send } = this.#options;
    const fault = this.faults.takeWire(opcode, packets);
    const bursts = fault === null ? wellSent(packets) : spoil(fault, { packets, previous: this.#previous, interrupted: () => this.#waiting > 0 });
    if (packets.length > 0) this.#previous = concat(...packets);
    await sendPaced(bursts, rate, speed, clock, send, () => life === this.#life);
  }

  #around(): Surroundings {
    return { profile: this.#options.profile, finger: this.hand.finger, random: this.#options.random };
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => { this.#options.clock.after(ms / this.#options.speed, resolve); });
  }
}
