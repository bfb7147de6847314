import { randomBytes } from "node:crypto";
import { alice, asks, auditor, both, stranger } from "../asks.ts";
import { endOf, type Scenario } from "../stage.ts";

const secretOf = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

export const use: Scenario = {
  name: "use", tells: "encrypted with one finger, decrypted with two", expected: null, leaves: "nothing",
  play: async (stage) => {
    const plaintext = secretOf(32);
    const sealed = await stage.step("encrypt with one officer's finger", () => stage.use(asks.encrypt(plaintext), alice));
    const opened = await stage.step("decrypt with two officers' fingers", () => stage.use(asks.decrypt(sealed.result), both));
    stage.expect(Buffer.from(opened.result).equals(plaintext), "what was decrypted is not what was encrypted");
    return null;
  },
};

export const wrongFinger: Scenario = {
  name: "wrong-finger", tells: "a stranger touches", expected: "INVALID_BIOMETRICS", leaves: "nothing",
  play: (stage) => stage.step("a stranger touches twice", () => endOf(stage.use(asks.encrypt(secretOf(8)), stranger))),
};

export const notPermitted: Scenario = {
  name: "not-permitted", tells: "an auditor touches, and an operation without a rule is asked for", expected: "NOT_PERMITTED", leaves: "nothing",
  play: async (stage) => {
    const withoutRule = await stage.step("an operation that no rule allows", () => endOf(stage.use({ ...asks.encrypt(secretOf(8)), operation: "mac" }, [])));
    stage.expect(withoutRule === "NOT_PERMITTED", `without a rule it ended with ${String(withoutRule)}`);
    return await stage.step("an auditor touches twice", () => endOf(stage.use(asks.encrypt(secretOf(8)), auditor)));
  },
};

export const wrongResource: Scenario = {
  name: "wrong-resource", tells: "a payroll ciphertext presented as public", expected: "CIPHERTEXT_INVALID", leaves: "nothing",
  play: async (stage) => {
    const sealed = await stage.step("encrypt under payroll", () => stage.use(asks.encrypt(secretOf(32)), alice));
    return await stage.step("decrypt it as public/notice", () => endOf(stage.use(asks.decryptPublic(sealed.result), alice)));
  },
};

export const twoRequests: Scenario = {
  name: "two-requests", tells: "two requests at one sensor, slow fingers", expected: null, leaves: "nothing",
  play: async (stage) => {
    const payloads = [secretOf(16), secretOf(16)] as const;
    // Two touches are all there will be: if either request wanted another one, its deadline would end this.
    const sealed = await stage.step("both asked at once, alice takes her time, touches once for each", async () => {
      const all = Promise.all(payloads.map((payload) => stage.site.client.use(asks.encryptPublic(payload))));
      await stage.touch([...alice, ...alice], all);
      return await all;
    });
    await stage.step("each opens to its own", async () => {
      for (const [i, payload] of payloads.entries()) {
        const opened = await stage.use(asks.decryptPublic(sealed[i]?.result ?? new Uint8Array()), alice);
        stage.expect(Buffer.from(opened.result).equals(payload), "a request got another one's result");
      }
    });
    return null;
  },
};
