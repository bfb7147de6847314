import { canonical } from "../protocol/canonical.ts";
import { ciphertextOverhead, payloadCommitment } from "../protocol/ciphertext.ts";
import { generateSigner } from "../protocol/es256.ts";
import { keyRecordHash, mostImported } from "../protocol/key-record.ts";
import { mostPayload } from "../protocol/messages.ts";
import { requestDigest, type EnclaveKeys, type RequestFields, type UseBody } from "../protocol/request.ts";
import { openPayload, sealResult } from "../protocol/result.ts";
import { generateRecipient, requirePoint } from "../protocol/seal.ts";
import { bytesOf, toBase64url, utf8 } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";
import { equalBytes, wipe } from "../runtime/secrets.ts";
import { dealKey } from "./birth.ts";
import type { CreateArgs, CreateResult, Enclave, OperateArgs, OperateResult, PayloadArgs } from "./calls.ts";
import { combineKey } from "./combine.ts";
import { EnclaveError } from "./errors.ts";
import { isKeyOperation, perform } from "./perform.ts";

const saltLength = 32;

const spent = (): EnclaveError => new EnclaveError("ENCLAVE_SPENT", "this enclave has done its one operation");

interface Held {
  /** The canonical encoding of site and request that the payload came with. */
  readonly request: Uint8Array;
  /** salt(32) ‖ payload, secret. */
  readonly salted: Uint8Array;
}

/** Longest payload whose result still fits a message, bytes. */
function mostBytes({ operation, create }: UseBody): number {
  switch (operation) {
    case "create": return create?.imported === true ? mostImported : 0;
    case "reshard":
    case "recover":
    case "record":
    case "readmit": return 0;
    case "encrypt":
    case "wrap": return mostPayload - ciphertextOverhead;
    case "decrypt":
    case "unwrap":
    case "mac": return mostPayload;
  }
}

/** All of the enclave but its process: one payload, one operation, wiped (design §9, "Enclave rules"). */
export class EnclaveCore implements Enclave {
  readonly pid = undefined;
  readonly keys: EnclaveKeys;
  readonly #random: Random;
  readonly #recipient = generateRecipient();
  readonly #signer = generateSigner();
  readonly #onSpent: () => void;
  #held: Held | undefined;
  #spent = false;
  #busy = false;

  /** `onSpent` is called when all secrets are wiped. */
  constructor(random: Random, onSpent: () => void) {
    this.#random = random;
    this.#onSpent = onSpent;
    this.keys = { seal: toBase64url(this.#recipient.publicKey), sign: this.#signer.publicKey };
  }

  async payload({ site, use, enc, ct }: PayloadArgs): Promise<void> {
    await this.#alone(() => {
      if (this.#held !== undefined) throw new EnclaveError("PAYLOAD_TAKEN", "this enclave already has its payload");
      requirePoint(bytesOf(use.resultKey), "the result key");
      const salted = openPayload(site, use, this.#recipient, { enc, ct });
      try {
        const payload = salted.subarray(saltLength);
        const commitment = payloadCommitment(site, salted.subarray(0, saltLength), payload);
        if (!equalBytes(utf8(commitment), utf8(use.commitment))) {
          throw new EnclaveError("PAYLOAD_MISMATCH", "the payload is not the one that the request committed to");
        }
        if (payload.length > mostBytes(use)) {
          throw new EnclaveError("PAYLOAD_TOO_LONG", `${payload.length} bytes to ${use.operation}, at most ${mostBytes(use)}`, { remedy: "files go by envelope encryption: shardkeep seal" });
        }
        this.#held = { request: canonical("use-body", site, use), salted };
      } catch (error) {
        wipe(salted);
        throw error;
      }
    });
  }

  create({ fields, plan, joins }: CreateArgs): Promise<CreateResult> {
    return this.#alone(async () => {
      const payload = this.#bound(fields);
      const { site, body } = fields.use;
      const deal = await dealKey(fields, plan, joins, body.create?.imported === true ? payload : null, this.#signer, this.#random);
      const result = await sealResult(this.#signer, site, body, requestDigest(fields), new Uint8Array());
      this.#spend();
      return { deal, ...result };
    });
  }

  operate({ fields, record, shards }: OperateArgs): Promise<OperateResult> {
    return this.#alone(async () => {
      const payload = this.#bound(fields);
      const { site, body } = fields.use;
      const sameKey = record.site === site && record.key === body.key && record.epoch === fields.epoch && record.attempt === fields.attempt;
      if (!sameKey || keyRecordHash(record) !== fields.record) throw new EnclaveError("WRONG_RECORD", `the record of ${record.key} is not the one that the request names`);
      const { operation, key, resource } = body;
      if (!isKeyOperation(operation)) throw new EnclaveError("WRONG_OPERATION", `${operation} is not done with a key that the enclave has combined`);
      const digest = requestDigest(fields);
      const { master, offPolynomial } = await combineKey(this.#recipient, digest, record, fields.record, shards);
      let output: Uint8Array | undefined;
      try {
        if (this.#spent) throw spent(); // ended meanwhile: the payload is wiped
        output = perform(operation, master, { site, key, version: record.version, resource }, payload, this.#random);
        return { ...await sealResult(this.#signer, site, body, digest, output), offPolynomial: [...offPolynomial] };
      } finally {
        wipe(master, output);
        this.#spend();
      }
    });
  }

  end(): Promise<void> {
    this.#spend();
    return Promise.resolve();
  }

  /** The payload, if `fields` are of the request it came with and bound to this enclave. */
  #bound({ use, enclave }: RequestFields): Uint8Array {
    if (this.#held === undefined) throw new EnclaveError("PAYLOAD_MISSING", "the payload has not come yet", { retryable: true });
    if (!equalBytes(this.#held.request, canonical("use-body", use.site, use.body))) throw new EnclaveError("WRONG_REQUEST", "these fields are not of the request that the payload came with");
    if (enclave.seal !== this.keys.seal || enclave.sign !== this.keys.sign) throw new EnclaveError("WRONG_ENCLAVE", "the request is bound to another enclave");
    return this.#held.salted.subarray(saltLength);
  }

  /** One call at a time: a second one would meet a payload that the first has wiped. */
  async #alone<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.#spent) throw spent();
    if (this.#busy) throw new EnclaveError("ENCLAVE_BUSY", "this enclave is at another call");
    this.#busy = true;
    try {
      return await task();
    } finally {
      this.#busy = false;
    }
  }

  #spend(): void {
    if (this.#spent) return;
    this.#spent = true;
    wipe(this.#held?.salted);
    this.#recipient.destroy();
    this.#onSpent();
  }
}
