/**
 * State changes to stdout with the `<N>` priorities that systemd reads (sd-daemon(3)).
 * Fields are public data; a secret has no text form in this project, so none can be passed.
 */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

function line(priority: number, name: string, event: string, fields: Fields): string {
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? JSON.stringify(value) : String(value)}`);
  return `<${priority}>${name}: ${event}${shown.join("")}\n`;
}

export function stdoutLog(name: string): Log {
  const write = (priority: number) => (event: string, fields: Fields = {}) => {
    process.stdout.write(line(priority, name, event, fields));
  };
  return { info: write(6), warn: write(4), error: write(3) };
}

export const silentLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
