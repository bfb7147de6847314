import type { Ask } from "../../agent/client/index.ts";
import type { BoxId } from "./site.ts";

const resource = "payroll/2026/march";
const nothing = new Uint8Array();

/** The requests of the demo, and the fingers that its policy wants for each. */
export const asks = {
  create: { key: "payroll", operation: "create", resource, reason: "the payroll key", payload: nothing, create: { kind: "aes-256", threshold: 3, holders: ["box-1", "box-2", "box-3", "box-4", "box-5"], imported: false } },
  encrypt: (payload: Uint8Array): Ask => ({ key: "payroll", operation: "encrypt", resource, reason: "monthly run", payload }),
  decrypt: (payload: Uint8Array): Ask => ({ key: "payroll", operation: "decrypt", resource, reason: "monthly run", payload }),
  /** Of a resource that one person alone may open. */
  decryptPublic: (payload: Uint8Array): Ask => ({ key: "payroll", operation: "decrypt", resource: "public/notice", reason: "notice board", payload }),
  encryptPublic: (payload: Uint8Array): Ask => ({ key: "payroll", operation: "encrypt", resource: "public/notice", reason: "notice board", payload }),
  /** Of a resource whose rule asks for the button of the box. */
  encryptVault: (payload: Uint8Array): Ask => ({ key: "payroll", operation: "encrypt", resource: "vault/notice", reason: "for the vault", payload }),
} satisfies Record<string, Ask | ((payload: Uint8Array) => Ask)>;

type Fingers = readonly (readonly [BoxId, string])[];
export const alice: Fingers = [["box-1", "alice-index"]];
export const bob: Fingers = [["box-2", "bob-index"]];
export const both: Fingers = [...alice, ...bob];
export const stranger: Fingers = [["box-1", "stranger-thumb"], ["box-1", "stranger-thumb"]];
export const auditor: Fingers = [["box-1", "eve-index"], ["box-1", "eve-index"]];
