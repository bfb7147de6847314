/** As much of johnny-five 2.1.0 and firmata-io 2.3.0 as the panel uses; neither brings types of its own. */
declare module "firmata-io" {
  import { EventEmitter } from "node:events";

  interface Transport extends EventEmitter {
    write(bytes: Uint8Array, done?: () => void): void;
  }

  export class Firmata extends EventEmitter {
    constructor(transport: Transport, options: { readonly reportVersionTimeout: number; readonly samplingInterval?: number });
    /** Bytes of a message that has not ended; it has no limit of its own. */
    readonly buffer: readonly number[];
    readonly firmware: { readonly name?: string; readonly version?: { readonly major: number; readonly minor: number } };
    reportVersion(done: () => void): void;
    queryFirmware(done: () => void): void;
    pinMode(pin: number, mode: number): void;
    digitalWrite(pin: number, level: 0 | 1): void;
    reportDigitalPin(pin: number, on: 0 | 1): void;
    i2cConfig(): void;
    i2cReadOnce(address: number, count: number, done: (bytes: readonly number[]) => void): void;
    sysexCommand(message: readonly number[]): void;
    /** The table of handlers is one for all instances. @throws if there is one for `command` already */
    sysexResponse(command: number, handler: (content: readonly number[]) => void): void;
    clearSysexResponse(command: number): void;
  }

  const bind: { readonly Firmata: typeof Firmata };
  export default bind;
}

declare module "johnny-five" {
  import { EventEmitter } from "node:events";
  import type { Firmata } from "firmata-io";

  class Board extends EventEmitter {
    /** Every board ever made; a component without `board` goes to the first. */
    static readonly cache: Board[];
    static readonly Pins: { readonly normalize: { clear(): void } };
    constructor(options: { readonly io: Firmata; readonly repl: false; readonly debug: false; readonly sigint: false });
  }
  class Led {
    constructor(options: { readonly pin: number; readonly board: Board });
    on(): this;
    off(): this;
  }
  class Pin {
    constructor(options: { readonly pin: number; readonly board: Board });
    high(): this;
    low(): this;
  }
  class Switch extends EventEmitter {
    constructor(options: { readonly pin: number; readonly type: "NO" | "NC"; readonly board: Board });
  }
  class LCD {
    constructor(options: { readonly controller: "PCF8574"; readonly address: number; readonly rows: number; readonly cols: number; readonly board: Board });
    cursor(row: number, column: number): this;
    print(text: string, options: { readonly dontProcessSpecials: boolean }): this;
  }

  const five: {
    readonly Board: typeof Board;
    readonly Led: typeof Led;
    readonly Pin: typeof Pin;
    readonly Switch: typeof Switch;
    readonly LCD: typeof LCD;
  };
  export default five;
  export type { Board, LCD, Led, Pin, Switch };
}
