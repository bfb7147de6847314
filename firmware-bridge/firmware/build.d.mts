/** Such as "avr-gcc (GCC) 5.4.0", or null where there is none. */
export function compiler(): string | null;

/** Writes the firmware as Intel HEX. */
export function build(output: string): void;
