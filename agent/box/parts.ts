import type { Bridge } from "../../firmware-bridge/client.ts";
import type { Hsm } from "../hsm/client.ts";
import type { Exchange } from "../mqtt/exchange.ts";
import type { NonceBook } from "../protocol/nonces.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import type { Store } from "../store/store.ts";
import type { Display } from "./display.ts";
import type { BoxPanel } from "./panel.ts";
import type { RecordKeeper } from "./record-keeper.ts";

/** What the logic of a box is written against: the same code runs as a process and in a simulation. */
export interface BoxParts {
  readonly site: string;
  readonly box: string;
  /** Of this life of the agent; nonces and prompts do not outlive it. */
  readonly boot: string;
  readonly hsm: Hsm;
  readonly bridge: Bridge;
  readonly store: Store;
  readonly exchange: Exchange;
  readonly nonces: NonceBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly display: Display;
  /** Without one only the sensor's ring light shows anything. */
  readonly panel?: BoxPanel;
  readonly records: RecordKeeper;
}
