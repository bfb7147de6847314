import pkcs11js, { type Handle, type PKCS11 } from "pkcs11js";
import type { Clock } from "../runtime/clock.ts";
import { hasCode } from "../runtime/errors.ts";
import type { HsmConfig } from "./config.ts";
import { alreadyDone, ckrOf, HsmError, hsmFault, ruleFor } from "./errors.ts";
import { readPin } from "./pin.ts";
import { restoreTokens, syncTokens } from "./softhsm.ts";

/** One use of the module: a session of its own, and the object handles found since the last initialisation. */
export interface Session {
  readonly api: PKCS11;
  readonly handle: Handle;
  readonly found: Map<string, Handle>;
}

export interface DeviceInfo {
  readonly manufacturer: string;
  readonly model: string;
  readonly label: string;
  readonly serial: string;
  /** Where keys lie: in files that a disk image copies, or in a device. */
  readonly backing: "software" | "hardware";
}

/** A token as the module shows it without a login. */
export interface TokenSeen {
  readonly label: string;
  readonly serial: string;
  /** CK_TOKEN_INFO.flags (PKCS#11 v2.40 §3.2). */
  readonly flags: number;
}

interface Opened {
  readonly slot: Handle;
  /** Open for as long as we are: a token logs out with its last session. */
  readonly login: Handle;
  readonly found: Map<string, Handle>;
  readonly info: DeviceInfo;
}

const softwareMakers = /softhsm|mozilla|nss/i;
/** After a failed opening: no second one sooner (hardware/pkcs11.md §5, row 0x32). */
const pausesMs = [1000, 5000, 30_000] as const;

/** The module, initialised and logged in when it is first needed, and again after a fault. */
export class Device {
  readonly #config: HsmConfig;
  readonly #clock: Clock;
  readonly #api = new pkcs11js.PKCS11();
  #loaded = false;
  #opened: Opened | undefined;
  #failed: { readonly error: HsmError; readonly until: number } | undefined;
  #failures = 0;

  constructor(config: HsmConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  get info(): DeviceInfo {
    return this.#open().info;
  }

  /**
   * Runs `use` in a fresh session; a second time if the first ended in a way that a new session or a
   * re-initialised module may heal. "Not found" is such a way: with its folder gone, SoftHSM finds
   * nothing and reports no error (§1.4). So `use` looks first and changes last.
   */
  run<T>(doing: string, use: (session: Session) => T): T {
    try {
      return this.once(doing, use);
    } catch (error) {
      const value = error instanceof HsmError ? ckrOf(error.cause) : undefined;
      const action = value === undefined ? undefined : ruleFor(value).action;
      if (action === "reopen" || hasCode(error, "KEY_MISSING")) this.reopen();
      else if (action !== "again") throw error;
      return this.once(doing, use);
    }
  }

  /** Runs `use` in a fresh session, once: for what makes objects. */
  once<T>(doing: string, use: (session: Session) => T): T {
    const { slot, found } = this.#open();
    try {
      const handle = this.#session(slot);
      try {
        return use({ api: this.#api, handle, found });
      } finally {
        // Closing ends whatever operation an exception left open (§1.2).
        this.#quietly(() => { this.#api.C_CloseSession(handle); });
      }
    } catch (error) {
      throw named(error, doing);
    }
  }

  /** Finalize, Initialize, Login: what is found now is what the token really holds. */
  reopen(): void {
    this.close();
    this.#open();
  }

  /** Makes what was written durable, as far as the module leaves that to us. */
  sync(): void {
    if (this.#config.softhsmConf !== undefined) syncTokens(this.#config.softhsmConf);
  }

  /** Logs out first: a YubiHSM keeps the session of whoever does not (§2.2). */
  close(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    this.#quietly(() => { this.#api.C_Logout(opened.login); });
    this.#quietly(() => { this.#api.C_Finalize(); });
  }

  /** The module without a login, for making a token. */
  initialised(): PKCS11 {
    if (this.#config.softhsmConf !== undefined) restoreTokens(this.#config.softhsmConf);
    return this.#initialise();
  }

  /** What the module says of its tokens to anybody: no login, so no try of a PIN is spent, and nothing is restored. */
  tokens(): TokenSeen[] {
    const api = this.#initialise();
    try {
      return api.C_GetSlotList(true).map((slot) => api.C_GetTokenInfo(slot))
        .filter(({ flags }) => (flags & pkcs11js.CKF_TOKEN_INITIALIZED) !== 0)
        .map(({ label, serialNumber, flags }) => ({ label: trimmed(label), serial: trimmed(serialNumber), flags }));
    } catch (error) {
      throw named(error, "looking at the tokens");
    } finally {
      this.#quietly(() => { api.C_Finalize(); });
    }
  }

  #initialise(): PKCS11 {
    const { module, parameters, softhsmConf } = this.#config;
    if (!this.#loaded) {
      try {
        this.#api.load(module);
      } catch (cause) {
        throw new HsmError("HSM_CONFIG_INVALID", `cannot load the PKCS#11 module ${module}`, { cause, remedy: "install it, or mend `module` in the configuration" });
      }
      this.#loaded = true;
    }
    this.#accept(() => {
      // Without OS locking SoftHSM runs without mutexes. pkcs11js cuts the parameters' last character off (§1.3).
      this.#api.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK, ...(parameters === undefined ? {} : { libraryParameters: `${parameters} ` }) });
    });
    if (softhsmConf === undefined && /softhsm/i.test(this.#api.C_GetInfo().manufacturerID)) {
      throw new HsmError("HSM_CONFIG_INVALID", "SoftHSM without softhsmConf", { remedy: "name the token's own configuration file: without it nothing can be made durable" });
    }
    return this.#api;
  }

  #open(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    if (this.#failed !== undefined && this.#clock.now() < this.#failed.until) throw this.#failed.error;
    try {
      this.initialised();
      const slot = this.#findSlot();
      const login = this.#session(slot);
      // Read at each login, so that it is not kept.
      this.#accept(() => { this.#api.C_Login(login, pkcs11js.CKU_USER, readPin(this.#config.pinFile, process.env)); });
      this.#failures = 0;
      this.#failed = undefined;
      this.#opened = { slot, login, found: new Map(), info: this.#describe(slot) };
      return this.#opened;
    } catch (thrown) {
      if (this.#loaded) this.#quietly(() => { this.#api.C_Finalize(); });
      const value = ckrOf(thrown);
      const rule = value === undefined ? undefined : ruleFor(value);
      const error = named(thrown, `opening token ${this.#config.token}`);
      const pause = pausesMs[Math.min(this.#failures++, pausesMs.length - 1)] ?? 0;
      if (error instanceof HsmError) {
        this.#failed = { error, until: rule?.action === "stop" ? Infinity : this.#clock.now() + (rule?.waitMs ?? pause) };
      }
      throw error;
    }
  }

  #findSlot(): Handle {
    const { token, serial } = this.#config;
    const slots = this.#api.C_GetSlotList(true).filter((slot) => {
      const { label, serialNumber, flags } = this.#api.C_GetTokenInfo(slot);
      return (flags & pkcs11js.CKF_TOKEN_INITIALIZED) !== 0 && trimmed(label) === token && (serial === undefined || trimmed(serialNumber) === serial);
    });
    const [slot] = slots;
    const name = `${token}${serial === undefined ? "" : ` with serial number ${serial}`}`;
    if (slot === undefined) throw new HsmError("TOKEN_MISSING", `the module shows no token ${name}`, { remedy: "check the token's label, serial number and, for SoftHSM, its folder; a token is only ever made on an operator's order", retryable: true });
    if (slots.length > 1) throw new HsmError("TOKEN_AMBIGUOUS", `${slots.length} tokens are called ${name}`, { remedy: "add the serial number to the configuration" });
    return slot;
  }

  #describe(slot: Handle): DeviceInfo {
    const manufacturer = trimmed(this.#api.C_GetInfo().manufacturerID);
    const { model, label, serialNumber } = this.#api.C_GetTokenInfo(slot);
    return {
      manufacturer, model: trimmed(model), label: trimmed(label), serial: trimmed(serialNumber),
      backing: softwareMakers.test(manufacturer) ? "software" : "hardware",
    };
  }

  #session(slot: Handle): Handle {
    return this.#api.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  }

  /** Runs a call for which "already so" is success. */
  #accept(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!alreadyDone.has(ckrOf(error))) throw error;
    }
  }

  /** Runs a call of which only the attempt matters: the module may have lost the session or itself. */
  #quietly(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (ckrOf(error) === undefined) throw error;
    }
  }
}

/** Labels are padded with spaces, some with NULs (§1.1). */
export function trimmed(text: string): string {
  return text.replaceAll("\0", "").trim();
}

/** A CKR value as its named error; anything else as it is. */
function named(error: unknown, doing: string): unknown {
  const value = ckrOf(error);
  return value === undefined ? error : hsmFault(value, doing, error);
}
