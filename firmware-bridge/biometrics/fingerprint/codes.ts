/** Confirmation codes of an acknowledgement (hardware/fingerprint.md §2.8) that this driver acts on. */
export const code = {
  done: 0x00, badPacket: 0x01, noFinger: 0x02, imageFailed: 0x03,
  messy: 0x06, fewPoints: 0x07, noMatch: 0x08, notFound: 0x09, notMergeable: 0x0a, outOfRange: 0x0b, unreadable: 0x0c,
  uploadFailed: 0x0d, cannotReceive: 0x0e, deleteFailed: 0x10, emptyFailed: 0x11, wrongPassword: 0x13, noImage: 0x15,
  residual: 0x17, flash: 0x18, undefinedError: 0x19, badRegister: 0x1a, badValue: 0x1b, badPage: 0x1c,
  locked: 0x21, defective: 0x29, unsupported: 0xfc,
} as const;

const names = new Map<number, string>(Object.entries(code).map(([name, value]) => [value, name]));

/** Such as `0Ch unreadable`, for error texts. */
export function codeName(value: number): string {
  const hex = `${value.toString(16).toUpperCase().padStart(2, "0")}h`;
  const known = names.get(value);
  return known === undefined ? hex : `${hex} ${known}`;
}
