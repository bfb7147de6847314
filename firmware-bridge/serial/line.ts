/**
 * One open serial line. It is used once: when it is closed, by either end, it stays closed and a new one is
 * made (a reopened SerialPort hands out stale bytes, platform.md §1).
 */
export interface Line {
  readonly path: string;
  readonly baudRate: number;
  /** A pseudo-terminal stands where hardware should be. */
  readonly emulated: boolean;
  /** Resolves when the bytes have left. Rejects with SERIAL_LOST, or SERIAL_WRITE_TIMEOUT, which also closes the line. */
  write(bytes: Uint8Array): Promise<void>;
  /** Bytes as they come, in pieces of any size. One listener; what comes without one is dropped. */
  listen(listener: (bytes: Uint8Array) => void): void;
  /** Resolves when the line has gone, for whatever reason. Never rejects. */
  readonly closed: Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}
