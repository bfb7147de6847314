import {
  AVRClock, avrInstruction, AVREEPROM, AVRIOPort, AVRTimer, AVRTWI, AVRUSART, CPU, eepromConfig, PinState, portBConfig, portCConfig, portDConfig,
  timer0Config, twiConfig, usart0Config, type EEPROMBackend,
} from "avr8js";

/** What stands at the other end of the two-wire bus. */
export interface Peripheral {
  readonly address: number;
  write(byte: number, us: number): void;
  read(): number;
}

export interface ChipOptions {
  /** 16,384 words. */
  readonly program: Uint16Array;
  readonly eeprom: EEPROMBackend;
  readonly peripheral: () => Peripheral | null;
  /** From the UART to the host. */
  readonly onByte: (byte: number) => void;
}

const crystalHz = 16_000_000;
const sleepInstruction = 0x9588;
const sleepControl = { register: 0x53, enable: 0x01, modeMask: 0x0e, powerDown: 0x04 } as const;
/** Cycles that a sleeping processor skips at once: 4 us, less than any of its clocks shows. */
const stride = 64;

/** The EEPROM has an oscillator of its own: a slower processor waits fewer cycles for it. */
function eepromTiming(clock: AVRClock): typeof eepromConfig {
  return {
    ...eepromConfig,
    get eraseCycles() { return eepromConfig.eraseCycles / clock.prescaler; },
    get writeCycles() { return eepromConfig.writeCycles / clock.prescaler; },
  };
}

/**
 * An ATmega328P from power on to power off. avr8js runs its instructions; asleep, which avr8js does not know,
 * only an interrupt goes on, and in power-down no clock runs: so what claims to wake by a pin's change must.
 */
export class Chip {
  readonly #cpu: CPU;
  readonly #clock: AVRClock;
  readonly #uart: AVRUSART;
  readonly #ports: { readonly b: AVRIOPort; readonly c: AVRIOPort; readonly d: AVRIOPort };
  readonly #inbox: number[] = [];
  #sleeping: "no" | "idle" | "power-down" = "no";
  /** Cycles of the crystal since power on, also those slept through. */
  #elapsed = 0;

  constructor({ program, eeprom, peripheral, onByte }: ChipOptions) {
    // The program is copied: nothing that one run does may be seen by the next.
    this.#cpu = new CPU(program.slice());
    this.#clock = new AVRClock(this.#cpu, crystalHz);
    new AVRTimer(this.#cpu, timer0Config);
    new AVREEPROM(this.#cpu, eeprom, eepromTiming(this.#clock));
    this.#ports = { b: new AVRIOPort(this.#cpu, portBConfig), c: new AVRIOPort(this.#cpu, portCConfig), d: new AVRIOPort(this.#cpu, portDConfig) };
    this.#uart = new AVRUSART(this.#cpu, usart0Config, crystalHz);
    this.#uart.onByteTransmit = onByte;
    this.#uart.onRxComplete = () => { this.#feed(); };
    this.#connect(peripheral);
  }

  get asleep(): boolean {
    return this.#sleeping === "power-down";
  }

  get us(): number {
    return this.#elapsed / (crystalHz / 1e6);
  }

  /** Bytes from the host, at the line's pace. A line that is switched off takes none. */
  receive(bytes: Uint8Array): void {
    this.#inbox.push(...bytes);
    this.#feed();
  }

  /** The level that the world puts on an Arduino pin. */
  drive(pin: number, high: boolean): void {
    const [port, bit] = this.#place(pin);
    port.setPin(bit, high);
  }

  /** Whether an Arduino pin is an output and high. */
  high(pin: number): boolean {
    const [port, bit] = this.#place(pin);
    return port.pinState(bit) === PinState.High;
  }

  run(ms: number): void {
    const until = this.#elapsed + ms * crystalHz / 1000;
    while (this.#elapsed < until) {
      if (this.#sleeping === "power-down" && this.#cpu.nextInterrupt < 0) {
        this.#elapsed = until;
        return;
      }
      this.#step();
    }
  }

  #step(): void {
    const cpu = this.#cpu;
    const before = cpu.cycles;
    if (this.#sleeping === "no") {
      if (cpu.progMem[cpu.pc] === sleepInstruction) this.#fallAsleep();
      avrInstruction(cpu);
    } else if (this.#sleeping === "idle") {
      cpu.cycles += stride;
    }
    const { pc } = cpu;
    cpu.tick();
    if (cpu.pc !== pc) this.#sleeping = "no";
    this.#elapsed += (cpu.cycles - before) * this.#clock.prescaler;
  }

  #fallAsleep(): void {
    const control = this.#cpu.data[sleepControl.register] ?? 0;
    if ((control & sleepControl.enable) === 0) return;
    this.#sleeping = (control & sleepControl.modeMask) === sleepControl.powerDown ? "power-down" : "idle";
  }

  #feed(): void {
    if (!this.#uart.rxEnable) this.#inbox.length = 0;
    const [byte] = this.#inbox;
    if (byte !== undefined && !this.#uart.rxBusy) {
      this.#inbox.shift();
      this.#uart.writeByte(byte);
    }
  }

  #connect(peripheral: () => Peripheral | null): void {
    const twi = new AVRTWI(this.#cpu, twiConfig, crystalHz);
    twi.eventHandler = {
      start: () => { twi.completeStart(); },
      stop: () => { twi.completeStop(); },
      connectToSlave: (address) => { twi.completeConnect(address === peripheral()?.address); },
      writeByte: (byte) => {
        peripheral()?.write(byte, this.us);
        twi.completeWrite(true);
      },
      readByte: () => { twi.completeRead(peripheral()?.read() ?? 0xff); },
    };
  }

  #place(pin: number): [port: AVRIOPort, bit: number] {
    if (pin < 8) return [this.#ports.d, pin];
    return pin < 14 ? [this.#ports.b, pin - 8] : [this.#ports.c, pin - 14];
  }
}
