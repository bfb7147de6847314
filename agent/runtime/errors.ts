/**
 * The one error base class. `code` is stable and printed; users quote it and scripts match it.
 * `message` is safe to send and to print; whatever must stay inside goes into `cause`.
 */
export interface ErrorOptions {
  /** What to do or run next, in words a field tech can follow. */
  readonly remedy?: string;
  /** The internal reason: logged, never sent. */
  readonly cause?: unknown;
  /** Whether the same call may succeed if it is made again. */
  readonly retryable?: boolean;
}

export class ShardkeepError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly remedy: string | undefined;
  readonly retryable: boolean;

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
    this.retryable = options.retryable ?? false;
  }

  override toString(): string {
    return `${this.code}: ${this.message}${this.remedy === undefined ? "" : `\n  next: ${this.remedy}`}`;
  }
}

/** An error as it crosses a process or network boundary: only what is safe to show. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
  readonly retryable?: boolean;
}

/** Reduces anything thrown to its safe fields. An unexpected error shows as INTERNAL without its text. */
export function toWire(error: unknown): WireError {
  if (!isNamed(error)) {
    return { code: "INTERNAL", message: "an unexpected error; the log of that process has it" };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    ...(error.retryable ? { retryable: true } : {}),
  };
}

/** The inverse of {@link toWire}. */
export function fromWire(wire: WireError): ShardkeepError {
  return new ShardkeepError(wire.code, wire.message, {
    ...(wire.remedy === undefined ? {} : { remedy: wire.remedy }),
    ...(wire.retryable === undefined ? {} : { retryable: wire.retryable }),
  });
}

/** `CODE: message` and the remedy, as text that may be shown anywhere. */
export function described(error: unknown): string {
  return fromWire(toWire(error)).toString();
}

/** Whether something thrown is one of ours (`instanceof` alone would make its code an `any`). */
export function isNamed(error: unknown): error is ShardkeepError {
  return error instanceof ShardkeepError;
}

/** True if `error` carries exactly this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ShardkeepError && error.code === code;
}
