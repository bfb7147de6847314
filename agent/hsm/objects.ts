import { randomInt } from "node:crypto";
import pkcs11js, { type Attribute, type ECDH1, type Handle, type Mechanism } from "pkcs11js";
import { requirePoint } from "../protocol/seal.ts";
import type { Session } from "./device.ts";
import { ckrOf, HsmError } from "./errors.ts";

/**
 * Objects by the portable subset of hardware/pkcs11.md §2.6: found by class and label, exactly one;
 * every attribute that a module might default differently is stated; nothing is changed or copied.
 */
export type ObjectClass = "private" | "public" | "secret";

const classes = { private: pkcs11js.CKO_PRIVATE_KEY, public: pkcs11js.CKO_PUBLIC_KEY, secret: pkcs11js.CKO_SECRET_KEY } as const;
const prime256v1 = Buffer.from("06082a8648ce3d030107", "hex");

/** The same bytes as the addon wants them; no copy. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Handles of all objects of this class and, if one is given, this label. */
export function findAll({ api, handle }: Session, kind: ObjectClass, label?: string): Handle[] {
  const template: Attribute[] = [{ type: pkcs11js.CKA_CLASS, value: classes[kind] }];
  if (label !== undefined) template.push({ type: pkcs11js.CKA_LABEL, value: label });
  api.C_FindObjectsInit(handle, template);
  try {
    const found: Handle[] = [];
    for (let more = api.C_FindObjects(handle, 64); more.length > 0; more = api.C_FindObjects(handle, 64)) found.push(...more);
    return found;
  } finally {
    api.C_FindObjectsFinal(handle);
  }
}

/** The handle of exactly one object. Throws KEY_MISSING, and KEY_AMBIGUOUS: SoftHSM keeps no label unique. */
export function findOne(session: Session, kind: ObjectClass, label: string): Handle {
  const key = `${kind} ${label}`;
  const known = session.found.get(key);
  if (known !== undefined) return known;
  const [only, ...others] = findAll(session, kind, label);
  if (only === undefined) throw new HsmError("KEY_MISSING", `the HSM holds no ${kind} key ${label}`, { remedy: "a lost key is never made again by itself: join this box anew" });
  if (others.length > 0) throw new HsmError("KEY_AMBIGUOUS", `the HSM holds ${others.length + 1} ${kind} keys ${label}`, { remedy: "somebody else writes to this token: find out who" });
  session.found.set(key, only);
  return only;
}

export function isThere(session: Session, label: string): boolean {
  return (["private", "public", "secret"] as const).some((kind) => findAll(session, kind, label).length > 0);
}

/** Labels of all readable objects of a class; a half-written object has none (§1.4). */
export function labels(session: Session, kind: ObjectClass): string[] {
  return findAll(session, kind).flatMap((object) => {
    try {
      return [attribute(session, object, pkcs11js.CKA_LABEL).toString("utf8")];
    } catch (error) {
      if (ckrOf(error) === undefined) throw error;
      return [];
    }
  });
}

/** An attribute alone: asking for several fails if one does (§1.3). */
function attribute({ api, handle }: Session, object: Handle, type: number): Buffer {
  const value = api.C_GetAttributeValue(handle, object, [{ type }])[0]?.value;
  if (!Buffer.isBuffer(value)) throw new HsmError("HSM_FAULT", `attribute 0x${type.toString(16)} of an object is not bytes`);
  return value;
}

/** What every stored object states. A label has at most 40 bytes: a YubiHSM cuts longer ones (§2.3). */
function storedAs(kind: ObjectClass, label: string, id: number): Attribute[] {
  return [
    { type: pkcs11js.CKA_CLASS, value: classes[kind] },
    { type: pkcs11js.CKA_TOKEN, value: true },
    { type: pkcs11js.CKA_LABEL, value: label },
    { type: pkcs11js.CKA_ID, value: Buffer.of(id >> 8, id & 0xff) },
  ];
}

const nonExtractable: readonly Attribute[] = [
  { type: pkcs11js.CKA_PRIVATE, value: true },
  { type: pkcs11js.CKA_SENSITIVE, value: true },
  { type: pkcs11js.CKA_EXTRACTABLE, value: false },
];

/** Makes a P-256 pair inside the HSM, for signing or for ECDH, never both. */
export function generatePair({ api, handle }: Session, label: string, id: number, use: "sign" | "derive"): void {
  api.C_GenerateKeyPair(
    handle,
    { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
    [
      ...storedAs("public", label, id),
      { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_EC },
      { type: pkcs11js.CKA_VERIFY, value: use === "sign" },
      { type: pkcs11js.CKA_EC_PARAMS, value: prime256v1 },
    ],
    [
      ...storedAs("private", label, id),
      ...nonExtractable,
      { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_EC },
      { type: pkcs11js.CKA_SIGN, value: use === "sign" },
      { type: pkcs11js.CKA_DERIVE, value: use === "derive" },
    ],
  );
}

/** Imports 32 bytes as an HMAC-SHA-256 key; the caller wipes `value`. Its id is free for the taking: it is found by label. */
export function importHmacKey({ api, handle }: Session, label: string, value: Uint8Array): void {
  api.C_CreateObject(handle, [
    ...storedAs("secret", label, randomInt(0x1000, 0x5000)),
    ...nonExtractable,
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_SHA256_HMAC },
    { type: pkcs11js.CKA_SIGN, value: true },
    { type: pkcs11js.CKA_VERIFY, value: true },
    { type: pkcs11js.CKA_VALUE, value: buffer(value) },
  ]);
}

/** The 65-byte point of a public key object, out of its DER OCTET STRING. */
export function readPoint(session: Session, label: string): Uint8Array<ArrayBuffer> {
  const der = attribute(session, findOne(session, "public", label), pkcs11js.CKA_EC_POINT);
  const point = new Uint8Array(der.length === 67 && der[0] === 0x04 && der[1] === 65 ? der.subarray(2) : der);
  try {
    requirePoint(point, label);
  } catch (cause) {
    throw new HsmError("HSM_FAULT", `the HSM's public key ${label} is damaged`, { cause, remedy: "take this HSM out of service: what it holds cannot be trusted" });
  }
  return point;
}

/** Signs or MACs `data` with the one key of this label. `length` is the result's, in bytes. */
export function signWith({ api, handle }: Session, mechanism: Mechanism, key: Handle, data: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  api.C_SignInit(handle, mechanism, key);
  // Room to spare: after "buffer too small" the operation would stay open (§1.2).
  const signature = api.C_Sign(handle, buffer(data), Buffer.alloc(length + 64));
  if (signature.length !== length) throw new HsmError("HSM_FAULT", `the HSM gave a signature of ${signature.length} bytes instead of ${length}`);
  return new Uint8Array(signature);
}

/** ECDH with the private key of this label: the 32-byte X, secret. `peer` is a checked point, 65 bytes, raw (§2.3). */
export function deriveX(session: Session, label: string, peer: Uint8Array): Uint8Array {
  const { api, handle } = session;
  const parameter: ECDH1 = { type: pkcs11js.CK_PARAMS_EC_DH, kdf: pkcs11js.CKD_NULL, publicData: buffer(peer) };
  const shared = api.C_DeriveKey(
    handle,
    { mechanism: pkcs11js.CKM_ECDH1_DERIVE, parameter },
    findOne(session, "private", label),
    [
      { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
      { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_GENERIC_SECRET },
      { type: pkcs11js.CKA_TOKEN, value: false },
      { type: pkcs11js.CKA_SENSITIVE, value: false },
      { type: pkcs11js.CKA_EXTRACTABLE, value: true },
      { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
    ],
  );
  try {
    return attribute(session, shared, pkcs11js.CKA_VALUE);
  } finally {
    api.C_DestroyObject(handle, shared);
  }
}

/** Destroys every object of this label: on SoftHSM the public half is an object of its own. */
export function destroyAll(session: Session, label: string): void {
  for (const kind of ["private", "public", "secret"] as const) {
    for (const object of findAll(session, kind, label)) session.api.C_DestroyObject(session.handle, object);
  }
}
