import { equalBytes, secretBytes, wipe } from "../../../agent/runtime/secrets.ts";
import type { Random } from "../../../agent/runtime/random.ts";
import { SensorError } from "../errors.ts";
import { empty, readNotepad, setPassword, verifyPassword, writeNotepad } from "./commands.ts";
import type { Exchange } from "./exchange.ts";

/** What binds one sensor to one box. */
export interface Pairing {
  /** 4 bytes, never 00000000, which is no password at all (W1). */
  readonly password: Uint8Array;
  /** 32 random bytes in the notepad. */
  readonly marker: Uint8Array;
  /** False from before the sensor was told until it has proven that it took both. */
  readonly confirmed: boolean;
}

export interface PairingStore {
  /** PAIRING_FILE_DAMAGED. */
  load(): Pairing | undefined;
  /** Returns only when the pairing would survive a power cut. */
  save(pairing: Pairing): void;
}

export type Standing =
  | { readonly state: "paired" | "unpaired" }
  | { readonly state: "foreign" | "locked"; readonly detail: string };

const page = 0;
const factoryPassword = (): Uint8Array => secretBytes(4);

async function takes(exchange: Exchange, password: Uint8Array): Promise<boolean> {
  return (await exchange.send(verifyPassword(password))).ok;
}

function differentPassword(random: Random, ...from: readonly Uint8Array[]): Uint8Array {
  for (;;) {
    const password = random.bytes(4);
    if (from.every((other) => !equalBytes(other, password))) return password;
  }
}

/**
 * Whose sensor this is (hardware/fingerprint.md §4.2): a wrong password must be refused, ours taken, and our
 * marker be in the notepad. Wrong first: a sensor that takes everything is found before it is told ours.
 */
export async function examine(exchange: Exchange, pairing: Pairing | undefined, random: Random): Promise<Standing> {
  const factory = factoryPassword();
  if (pairing === undefined) {
    return await takes(exchange, factory) ? { state: "unpaired" } : { state: "locked", detail: "it has a password that this box does not know" };
  }
  if (await takes(exchange, differentPassword(random, pairing.password, factory))) return { state: "foreign", detail: "it takes a wrong password" };
  if (!await takes(exchange, pairing.password)) {
    if (!pairing.confirmed && await takes(exchange, factory)) return { state: "unpaired" };
    return { state: "foreign", detail: "it does not take the password of this box's sensor" };
  }
  if (!equalBytes(await exchange.demand(readNotepad(page)), pairing.marker)) return { state: "foreign", detail: "its notepad does not hold this box's marker" };
  return { state: "paired" };
}

/**
 * Pairs the sensor: new secrets are saved *before* the sensor is told (a forgotten password is a dead sensor,
 * W12), and confirmed after it has proven that it enforces them (some clones do not, Q21).
 */
export async function pair(exchange: Exchange, store: PairingStore, random: Random): Promise<void> {
  const saved = store.load();
  try {
    await pairOnce(exchange, saved, store, random);
  } finally {
    wipe(saved?.password, saved?.marker);
  }
}

async function pairOnce(exchange: Exchange, saved: Pairing | undefined, store: PairingStore, random: Random): Promise<void> {
  const found = await examine(exchange, saved, random);
  if (found.state === "paired") {
    if (saved?.confirmed === false) store.save({ ...saved, confirmed: true });
    return;
  }
  if (found.state === "locked") {
    throw new SensorError("SENSOR_PAIRED_ELSEWHERE", `this sensor is not free: ${found.detail}`, { remedy: "unpair it at the box that owns it, or use another sensor" });
  }
  if (found.state === "foreign") {
    throw new SensorError("SENSOR_FOREIGN", `this is not the sensor of this box: ${found.detail}`, { remedy: "connect the paired sensor; if it was replaced on purpose, move the pairing file away and pair again" });
  }
  const factory = factoryPassword();
  if (await takes(exchange, differentPassword(random, factory))) {
    throw new SensorError("SENSOR_FAULT", "this sensor does not enforce its password", { remedy: "use a genuine sensor" });
  }
  if (!await takes(exchange, factory)) throw new SensorError("SENSOR_GARBLED", "the sensor changed its mind about its password", { retryable: true });
  const pairing: Pairing = saved ?? { password: differentPassword(random, factory), marker: random.bytes(32), confirmed: false };
  store.save(pairing);
  await exchange.demand(writeNotepad(page, pairing.marker));
  await exchange.demand(setPassword(pairing.password));
  const after = await examine(exchange, pairing, random);
  if (after.state !== "paired") {
    throw new SensorError("SENSOR_FAULT", `the sensor did not keep its pairing: ${"detail" in after ? after.detail : after.state}`, { remedy: "pair again, or use another sensor" });
  }
  store.save({ ...pairing, confirmed: true });
  wipe(pairing.password, pairing.marker);
}

/**
 * Frees the sensor for another box: no finger in it, factory password. Our secrets stay saved, as not confirmed, until the
 * caller destroys them: cut off anywhere, it goes on. SENSOR_FOREIGN, SENSOR_PAIRED_ELSEWHERE.
 */
export async function unpair(exchange: Exchange, store: PairingStore, random: Random): Promise<void> {
  const saved = store.load();
  try {
    const found = await examine(exchange, saved, random);
    if (found.state === "unpaired") return;
    if (found.state === "locked") throw new SensorError("SENSOR_PAIRED_ELSEWHERE", `this sensor is not ours to free: ${found.detail}`, { remedy: "connect this box's own sensor" });
    if (found.state === "foreign" || saved === undefined) throw new SensorError("SENSOR_FOREIGN", `this is not the sensor of this box${"detail" in found ? `: ${found.detail}` : ""}`, { remedy: "connect the paired sensor" });
    await exchange.demand(empty());
    // From here on the factory password, too, means that it is ours to free.
    store.save({ ...saved, confirmed: false });
    await exchange.demand(setPassword(factoryPassword()));
    const after = await examine(exchange, { ...saved, confirmed: false }, random);
    if (after.state !== "unpaired") throw new SensorError("SENSOR_FAULT", "the sensor did not give up its password", { remedy: "try again; else that sensor is for no other box" });
  } finally {
    wipe(saved?.password, saved?.marker);
  }
}
