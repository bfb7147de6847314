import type { Hsm } from "../hsm/client.ts";
import type { EnclavePool } from "../enclave/client.ts";
import type { Exchange } from "../mqtt/exchange.ts";
import type { NonceBook } from "../protocol/nonces.ts";
import type { Session } from "../protocol/session.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import type { Store } from "../store/store.ts";
import type { CoordinatorConfig } from "./config.ts";
import type { SiteKeeper } from "./site-keeper.ts";

/** TLS certificates for those who join; the TLS authority is software and no part of the trust base. */
export interface Certifier {
  /** PEM certificate for a PEM public key under common name `cn`. */
  certify(cn: string, publicKeyPem: string): Promise<string>;
  /** PEM of the authority. */
  readonly ca: string;
}

/** What the coordinator's logic is written against: the same code runs as a process and in a simulation. */
export interface CoordinatorParts {
  readonly config: CoordinatorConfig;
  readonly session: Session;
  readonly hsm: Hsm;
  readonly enclaves: EnclavePool;
  readonly store: Store;
  readonly exchange: Exchange;
  readonly nonces: NonceBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly certifier: Certifier;
  readonly site: SiteKeeper;
}
