import { concat } from "../../../agent/runtime/encoding.ts";
import { code } from "./codes.ts";
import { parseIndexPage, parseParameters, parseProduct } from "./parameters.ts";

interface Shape {
  readonly opcode: number;
  /** Bytes after the opcode. */
  readonly parameters: number;
  /** Bytes after the confirmation code of a reply that says 00. */
  readonly reply: number;
  /** Codes besides 00 done, 01 bad packet, 21 locked and FC unsupported, which every command may get. */
  readonly codes: readonly number[];
  /** §2.9. Search has 10 ms a slot on top. */
  readonly deadlineMs: number;
}

const short = 1000;
const long = 3000;
const imageCodes = [code.noFinger, code.imageFailed, code.fewPoints];

/** Opcode, lengths, codes and deadline of every command in use: hardware/fingerprint.md §§2.1-2.3. */
export const shapes = {
  verifyPassword: { opcode: 0x13, parameters: 4, reply: 0, codes: [code.wrongPassword], deadlineMs: short },
  setPassword: { opcode: 0x12, parameters: 4, reply: 0, codes: [code.flash], deadlineMs: long },
  setAddress: { opcode: 0x15, parameters: 4, reply: 0, codes: [code.flash], deadlineMs: long },
  setParameter: { opcode: 0x0e, parameters: 2, reply: 0, codes: [code.flash, code.badRegister, code.badValue], deadlineMs: long },
  readParameters: { opcode: 0x0f, parameters: 0, reply: 16, codes: [code.flash], deadlineMs: short },
  countTemplates: { opcode: 0x1d, parameters: 0, reply: 2, codes: [], deadlineMs: short },
  readIndex: { opcode: 0x1f, parameters: 1, reply: 32, codes: [], deadlineMs: short },
  getImage: { opcode: 0x01, parameters: 0, reply: 0, codes: imageCodes, deadlineMs: long },
  getImageEx: { opcode: 0x28, parameters: 0, reply: 0, codes: imageCodes, deadlineMs: long },
  extractFeatures: { opcode: 0x02, parameters: 1, reply: 0, codes: [code.messy, code.fewPoints, code.noImage], deadlineMs: long },
  mergeFeatures: { opcode: 0x05, parameters: 0, reply: 0, codes: [code.notMergeable], deadlineMs: long },
  store: { opcode: 0x06, parameters: 3, reply: 0, codes: [code.outOfRange, code.flash], deadlineMs: long },
  load: { opcode: 0x07, parameters: 3, reply: 0, codes: [code.outOfRange, code.unreadable], deadlineMs: short },
  upload: { opcode: 0x08, parameters: 1, reply: 0, codes: [code.uploadFailed], deadlineMs: short },
  download: { opcode: 0x09, parameters: 1, reply: 0, codes: [code.cannotReceive], deadlineMs: short },
  remove: { opcode: 0x0c, parameters: 4, reply: 0, codes: [code.deleteFailed, code.flash], deadlineMs: long },
  empty: { opcode: 0x0d, parameters: 0, reply: 0, codes: [code.emptyFailed, code.flash], deadlineMs: long },
  match: { opcode: 0x03, parameters: 0, reply: 2, codes: [code.noMatch], deadlineMs: short },
  search: { opcode: 0x04, parameters: 5, reply: 4, codes: [code.notFound, code.residual], deadlineMs: short },
  readNotepad: { opcode: 0x19, parameters: 1, reply: 32, codes: [code.badPage], deadlineMs: short },
  writeNotepad: { opcode: 0x18, parameters: 33, reply: 0, codes: [code.flash, code.badPage], deadlineMs: long },
  getRandom: { opcode: 0x14, parameters: 0, reply: 4, codes: [code.undefinedError], deadlineMs: short },
  handShake: { opcode: 0x40, parameters: 0, reply: 0, codes: [], deadlineMs: short },
  softReset: { opcode: 0x3d, parameters: 0, reply: 0, codes: [], deadlineMs: short },
  readProduct: { opcode: 0x3c, parameters: 0, reply: 46, codes: [], deadlineMs: short },
  readFirmware: { opcode: 0x3a, parameters: 0, reply: 32, codes: [], deadlineMs: short },
  checkSensor: { opcode: 0x36, parameters: 0, reply: 0, codes: [code.defective], deadlineMs: short },
  auraLed: { opcode: 0x35, parameters: 4, reply: 0, codes: [], deadlineMs: short },
} as const satisfies Record<string, Shape>;

export type CommandName = keyof typeof shapes;

/** One command ready to send, and how its reply reads. */
export interface Command<T> {
  readonly name: CommandName;
  /** Opcode and parameters. */
  readonly content: Uint8Array;
  readonly deadlineMs: number;
  /** Bytes after the confirmation code of a 00 reply, exactly. */
  readonly reply: number;
  readonly codes: readonly number[];
  readonly decode: (body: Uint8Array) => T;
}

const everyCommand = [code.done, code.badPacket, code.locked, code.unsupported];

function command<T>(name: CommandName, parameters: Uint8Array, decode: (body: Uint8Array) => T): Command<T> {
  const { opcode, reply, codes, deadlineMs } = shapes[name];
  return { name, content: concat(Uint8Array.of(opcode), parameters), deadlineMs, reply, codes: [...everyCommand, ...codes], decode };
}

const none = new Uint8Array(0);
const nothing = (): null => null;
const u16 = (value: number): [number, number] => [(value >> 8) & 0xff, value & 0xff];
const word = (body: Uint8Array, offset: number): number => new DataView(body.buffer, body.byteOffset).getUint16(offset);
const text = (body: Uint8Array): string => Buffer.from(body).toString("latin1").replace(/\0.*$/s, "").trim();

/** `password`: 4 bytes, copied into the content, which is wiped when it was sent. */
export const verifyPassword = (password: Uint8Array) => command("verifyPassword", password, nothing);
/** `password`: 4 bytes. */
export const setPassword = (password: Uint8Array) => command("setPassword", password, nothing);
/** The reply already carries the new address. */
export const setAddress = (address: number) => command("setAddress", Uint8Array.of(...u16(address >>> 16), ...u16(address)), nothing);
export const parameter = { baud: 4, securityLevel: 5, packetSize: 6 } as const;
export const setParameter = (number: (typeof parameter)[keyof typeof parameter], value: number) => command("setParameter", Uint8Array.of(number, value), nothing);
export const readParameters = () => command("readParameters", none, parseParameters);
export const countTemplates = () => command("countTemplates", none, (body) => word(body, 0));
/** The used slots among the 256 of `page`. */
export const readIndex = (page: number) => command("readIndex", Uint8Array.of(page), (body) => parseIndexPage(page, body));
export const getImage = () => command("getImage", none, nothing);
export const getImageEx = () => command("getImageEx", none, nothing);
export const extractFeatures = (buffer: number) => command("extractFeatures", Uint8Array.of(buffer), nothing);
export const mergeFeatures = () => command("mergeFeatures", none, nothing);
export const store = (buffer: number, slot: number) => command("store", Uint8Array.of(buffer, ...u16(slot)), nothing);
export const load = (buffer: number, slot: number) => command("load", Uint8Array.of(buffer, ...u16(slot)), nothing);
export const upload = (buffer: number) => command("upload", Uint8Array.of(buffer), nothing);
export const download = (buffer: number) => command("download", Uint8Array.of(buffer), nothing);
export const remove = (slot: number, count = 1) => command("remove", Uint8Array.of(...u16(slot), ...u16(count)), nothing);
export const empty = () => command("empty", none, nothing);
export const match = () => command("match", none, (body) => ({ score: word(body, 0) }));
/** Slots `first` … `first + count - 1`. Never the fast search 1Bh: R503 does not know it (quirk Q1). */
export const search = (buffer: number, first: number, count: number) => {
  const made = command("search", Uint8Array.of(buffer, ...u16(first), ...u16(count)), (body) => ({ slot: word(body, 0), score: word(body, 2) }));
  return { ...made, deadlineMs: made.deadlineMs + 10 * count };
};
export const readNotepad = (page: number) => command("readNotepad", Uint8Array.of(page), (body) => body);
/** `bytes`: 32. */
export const writeNotepad = (page: number, bytes: Uint8Array) => command("writeNotepad", concat(Uint8Array.of(page), bytes), nothing);
export const getRandom = () => command("getRandom", none, (body) => body);
export const handShake = () => command("handShake", none, nothing);
export const softReset = () => command("softReset", none, nothing);
export const readProduct = () => command("readProduct", none, parseProduct);
export const readFirmware = () => command("readFirmware", none, text);
export const checkSensor = () => command("checkSensor", none, nothing);
/** §2.7: `speed` 0..255, `count` 0 = endless. */
export const auraLed = (control: number, speed: number, colour: number, count: number) => command("auraLed", Uint8Array.of(control, speed, colour, count), nothing);
