import { concat } from "../../../agent/runtime/encoding.ts";
import { encodePacket, packetType } from "../../../firmware-bridge/biometrics/fingerprint/packets.ts";
import { ScriptedLine } from "./scripted-line.ts";

/** Name of what lies on the sensor in one capture; `""` nothing, `"?"` an unreadable image. */
export type Press = string;

const address = 0xffffffff;
const locked = 0x21;

/** Opcodes as the manual numbers them. */
export const op = {
  image: 0x28, features: 0x02, search: 0x04, merge: 0x05, store: 0x06, load: 0x07, upload: 0x08, download: 0x09, remove: 0x0c, empty: 0x0d,
  parameters: 0x0f, setParameter: 0x0e, setPassword: 0x12, password: 0x13, count: 0x1d, index: 0x1f, writeNotepad: 0x18, readNotepad: 0x19,
  led: 0x35, health: 0x36, product: 0x3c, handShake: 0x40, plainImage: 0x01,
} as const;

export interface Fault {
  readonly opcode: number;
  /** Which of its replies to spoil, counted from now; default the next. */
  after?: number;
  /** What is sent instead of `reply` (the acknowledgement and its data packets). */
  readonly instead: (reply: readonly Uint8Array[], say: (bytes: Uint8Array) => void) => void;
}

export const ack = (...content: readonly number[]): Uint8Array => encodePacket({ address, type: packetType.ack, content: Uint8Array.from(content) });

/**
 * Just enough of an R503 to lead the driver through its steps, at once and without delays, so that a fault
 * can be put at one exact place. Templates are `template:NAME`; a finger is a name.
 */
export class ScriptedModule {
  readonly line: ScriptedLine;
  password = "00000000";
  takesAnyPassword = false;
  unlocked = false;
  notepad: Uint8Array = new Uint8Array(32);
  level = 4;
  capacity = 200;
  packetSizeCode = 2;
  r503 = true;
  score = 96;
  readonly library = new Map<number, Uint8Array>();
  /** One name a capture; when it is empty, `resting` lies there. */
  presses: Press[] = [];
  resting: Press = "";
  readonly faults: Fault[] = [];
  readonly opcodes: number[] = [];
  readonly lights: number[][] = [];
  #image: Press = "";
  readonly #buffers = new Map<number, Press>();
  #loaded: Uint8Array = new Uint8Array(0);
  #download: Uint8Array[] | undefined;

  constructor() {
    this.line = new ScriptedLine((sent, say) => { this.#serve(sent, say); });
  }

  enrolled(slot: number, name: string, length = 300): Uint8Array {
    const template = new Uint8Array(length).fill(0x7a);
    template.set(Buffer.from(`template:${name}:`), 0);
    this.library.set(slot, template);
    return template;
  }

  count(opcode: number): number {
    return this.opcodes.filter((one) => one === opcode).length;
  }

  #serve(sent: Uint8Array, say: (bytes: Uint8Array) => void): void {
    const content = sent.slice(9, -2);
    if (sent[6] !== packetType.command) {
      this.#download?.push(content);
      if (sent[6] === packetType.end) this.#loaded = concat(...this.#download ?? []);
      return;
    }
    const opcode = content[0] ?? 0;
    this.opcodes.push(opcode);
    const reply = this.#reply(opcode, content.slice(1));
    const fault = this.faults.find((one) => one.opcode === opcode);
    if (fault !== undefined && (fault.after ?? 0) === 0) {
      this.faults.splice(this.faults.indexOf(fault), 1);
      fault.instead(reply, say);
      return;
    }
    if (fault?.after !== undefined) fault.after -= 1;
    for (const packet of reply) say(packet);
  }

  #reply(opcode: number, body: Uint8Array): readonly Uint8Array[] {
    if (opcode === op.password) {
      this.unlocked = this.takesAnyPassword || Buffer.from(body).toString("hex") === this.password;
      return [ack(this.unlocked ? 0 : 0x13)];
    }
    if (this.password !== "00000000" && !this.unlocked) return [ack(locked)];
    const slot = ((body[1] ?? 0) << 8) | (body[2] ?? 0);
    switch (opcode) {
      case op.parameters: return [ack(0, 0, 4, 0, 0, this.capacity >> 8, this.capacity & 0xff, 0, this.level, 0xff, 0xff, 0xff, 0xff, 0, this.packetSizeCode, 0, 6)];
      case op.setParameter: { if (body[0] === 5) this.level = body[1] ?? 0; return [ack(0)]; }
      case op.empty: { this.library.clear(); return [ack(0)]; }
      case op.setPassword: { this.password = Buffer.from(body).toString("hex"); return [ack(0)]; }
      case op.writeNotepad: { this.notepad = body.slice(1); return [ack(0)]; }
      case op.readNotepad: return [ack(0, ...this.notepad)];
      case op.handShake: return [ack(this.r503 ? 0 : 0xfc)];
      case op.health: return [ack(0)];
      case op.led: { this.lights.push([...body]); return [ack(0)]; }
      case op.product: return [ack(0, ...Buffer.from("R503".padEnd(16, "\0") + "0001" + "SN000001", "latin1"), 1, 4, ...new Uint8Array(16))];
      case op.count: return [ack(0, this.library.size >> 8, this.library.size & 0xff)];
      case op.index: return [ack(0, ...this.#index(body[0] ?? 0))];
      case op.image:
      case op.plainImage: {
        if (opcode === op.image && !this.r503) return [ack(0xfc)];
        this.#image = this.presses.shift() ?? this.resting;
        return [ack(this.#image === "" ? 2 : 0)];
      }
      case op.features: {
        if (this.#image === "?") return [ack(6)];
        this.#buffers.set(body[0] ?? 0, this.#image);
        return [ack(0)];
      }
      case op.merge: {
        const names = new Set(this.#buffers.values());
        this.#loaded = Buffer.from(`template:${[...names].join("+")}:`.padEnd(300, "z"));
        return [ack(0)];
      }
      case op.store: { this.library.set(slot, this.#loaded); return [ack(0)]; }
      case op.remove: { this.library.delete(((body[0] ?? 0) << 8) | (body[1] ?? 0)); return [ack(0)]; }
      case op.search: return [this.#search()];
      case op.load: {
        const found = this.library.get(slot);
        if (found === undefined) return [ack(0x0c)];
        this.#loaded = found;
        return [ack(0)];
      }
      case op.upload: return [ack(0), ...this.#data()];
      case op.download: { this.#download = []; return [ack(0)]; }
      default: return [ack(0xfc)];
    }
  }

  #search(): Uint8Array {
    const name = this.#buffers.get(1) ?? "";
    for (const [slot, template] of this.library) {
      const names = Buffer.from(template).toString("latin1").split(":")[1] ?? "";
      if (names.split("+").includes(name)) return ack(0, slot >> 8, slot & 0xff, 0, this.score);
    }
    return ack(9, 0x01, 0xee, 0, 0);
  }

  #index(page: number): Uint8Array {
    const bits = new Uint8Array(32);
    for (const slot of this.library.keys()) {
      if (slot >> 8 === page) bits[(slot & 0xff) >> 3]! |= 1 << (slot & 7);
    }
    return bits;
  }

  #data(): Uint8Array[] {
    const size = 32 << this.packetSizeCode;
    const packets: Uint8Array[] = [];
    for (let at = 0; at < this.#loaded.length; at += size) {
      const type = at + size < this.#loaded.length ? packetType.data : packetType.end;
      packets.push(encodePacket({ address, type, content: this.#loaded.slice(at, at + size) }));
    }
    return packets;
  }
}
