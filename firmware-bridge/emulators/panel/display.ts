/** An HD44780 with two lines of 16 characters behind a PCF8574 (HD44780U datasheet, tables 6 and 12). */
const wire = { registerSelect: 0x01, enable: 0x04, backlight: 0x08 } as const;
const instruction = { clear: 0x01, home: 0x02, entry: 0x04, display: 0x08, shift: 0x10, functionSet: 0x20, characters: 0x40, address: 0x80 } as const;
const busyUs = { first: 4100, long: 1520, short: 37 } as const;
const rowBytes = 0x40;
const columns = 16;

export class Display {
  readonly address = 0x27;
  #port = 0;
  #memory = new Uint8Array(0x80).fill(0x20);
  #cursor = 0;
  #intoCharacters = false;
  #on = false;
  /** After power it reads eight wires, of which the upper four are there. */
  #fourBits = false;
  #sets = 0;
  #upper: number | null = null;
  #busyUntil = 0;

  /** Two lines as a person sees them, or null while it is off. */
  get lines(): readonly [string, string] | null {
    if (!this.#on) return null;
    const line = (row: number): string => String.fromCharCode(...this.#memory.subarray(row * rowBytes, row * rowBytes + columns)).trimEnd();
    return [line(0), line(1)];
  }

  get backlight(): boolean {
    return (this.#port & wire.backlight) !== 0;
  }

  /** The expander's eight wires, at `us` microseconds. What comes while the controller is busy is lost, as in the real one. */
  write(port: number, us: number): void {
    const falling = (this.#port & wire.enable) !== 0 && (port & wire.enable) === 0;
    const before = this.#port;
    this.#port = port;
    if (falling && us >= this.#busyUntil) this.#nibble(before >> 4, (before & wire.registerSelect) !== 0, us);
  }

  read(): number {
    return this.#port;
  }

  #nibble(bits: number, data: boolean, us: number): void {
    if (!this.#fourBits) {
      this.#take(bits << 4, data, us);
    } else if (this.#upper === null) {
      this.#upper = bits;
    } else {
      const byte = this.#upper << 4 | bits;
      this.#upper = null;
      this.#take(byte, data, us);
    }
  }

  #take(byte: number, data: boolean, us: number): void {
    this.#busyUntil = us + busyUs.short;
    if (data) this.#store(byte);
    else this.#obey(byte, us);
  }

  #store(byte: number): void {
    if (this.#intoCharacters) return;
    this.#memory[this.#cursor] = byte;
    this.#cursor = (this.#cursor + 1) % this.#memory.length;
  }

  #obey(byte: number, us: number): void {
    if (byte >= instruction.address) {
      this.#cursor = byte & 0x7f;
      this.#intoCharacters = false;
    } else if (byte >= instruction.characters) {
      this.#intoCharacters = true;
    } else if (byte >= instruction.functionSet) {
      this.#fourBits = (byte & 0x10) === 0;
      this.#sets += 1;
      if (this.#sets === 1) this.#busyUntil = us + busyUs.first;
    } else if (byte >= instruction.display && byte < instruction.shift) {
      this.#on = (byte & 0x04) !== 0;
    } else if (byte < instruction.entry) {
      if (byte === instruction.clear) this.#memory.fill(0x20);
      this.#cursor = 0;
      this.#intoCharacters = false;
      this.#busyUntil = us + busyUs.long;
    }
  }
}
