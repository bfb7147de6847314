/** Confirmation codes that these modules answer with (hardware/fingerprint.md §2.8). */
export const code = {
  done: 0x00, badPacket: 0x01, noFinger: 0x02, messy: 0x06, fewPoints: 0x07, noMatch: 0x08, notFound: 0x09, noMerge: 0x0a,
  badSlot: 0x0b, unreadable: 0x0c, uploadFailed: 0x0d, imageUploadFailed: 0x0f, deleteFailed: 0x10,
  wrongPassword: 0x13, noImage: 0x15, flashError: 0x18, badRegister: 0x1a, badValue: 0x1b, badPage: 0x1c, badPort: 0x1d,
  full: 0x1f, locked: 0x21, slotTaken: 0x22, libraryEmpty: 0x24, timedOut: 0x26, known: 0x27, faultySensor: 0x29,
  echo: 0x55, unsupported: 0xfc,
} as const;
