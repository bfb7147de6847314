import { readClient } from "../../../agent/client/index.ts";
import { payloadCommitment } from "../../../agent/protocol/ciphertext.ts";
import type { Evidence } from "../../../agent/protocol/evidence.ts";
import type { KeyRecord } from "../../../agent/protocol/key-record.ts";
import type { RequestFields, Use } from "../../../agent/protocol/request.ts";
import { generateRecipient } from "../../../agent/protocol/seal.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { toBase64url } from "../../../agent/runtime/encoding.ts";
import { systemRandom } from "../../../agent/runtime/random.ts";
import { alice, asks } from "../asks.ts";
import { anotherEnclave, Rogue } from "../rogue.ts";
import { boxIds } from "../site.ts";
import type { Scenario, Stage } from "../stage.ts";

/** A request that the client really signs. */
async function signedUse(stage: Stage): Promise<Use> {
  const { config, signer } = readClient(stage.site.path("coordinator", "clients", "admin", "client.yaml"));
  const { key, operation, resource, reason } = asks.encrypt(new Uint8Array());
  return await signStatement(signer, "use", config.site, config.client, {
    request: toBase64url(systemRandom.bytes(16)), reason, key, operation, resource,
    commitment: payloadCommitment(config.site, systemRandom.bytes(32), new Uint8Array()), resultKey: toBase64url(generateRecipient().publicKey),
  });
}

export interface TakenOver {
  readonly rogue: Rogue;
  readonly record: KeyRecord;
  /** Evidence that alice really gives, at her sensor, for these fields. */
  readonly approve: (fields: RequestFields) => Promise<Evidence>;
}

export async function takeOver(stage: Stage, play: (taken: TakenOver) => Promise<string>): Promise<string> {
  const { site } = stage;
  const { record } = await site.client.request("key-show", { key: "payroll" });
  const siteRecord = site.client.record;
  const rogue = await stage.step("the coordinator is taken over: its HSM, broker and certificates", async () => {
    await site.stopCoordinator();
    return await Rogue.takeOver(site.configOf("coordinator"), siteRecord);
  });
  const approve = async (fields: RequestFields): Promise<Evidence> => {
    const evidence = rogue.prompt("box-1", fields);
    await stage.touch(alice, evidence);
    return await evidence;
  };
  try {
    return await play({ rogue, record, approve });
  } finally {
    await rogue.end();
  }
}

/** The one code with which all five boxes refused; anything else is a failed expectation. */
export function refusalOfAll(stage: Stage, what: string, answers: readonly (string | null)[]): string {
  const [first] = answers;
  stage.expect(answers.length === boxIds.length && answers.every((code) => code === first && code !== null), `${what}: the holders said ${answers.map(String).join(", ")}`);
  return first ?? "";
}

export const lyingCoordinator: Scenario = {
  name: "lying-coordinator", tells: "the coordinator asks for shards without evidence", expected: "NOT_PERMITTED", leaves: "coordinator",
  play: (stage) => takeOver(stage, ({ rogue, record }) => stage.step("five of five holders refuse", async () => {
    const fields = rogue.fields(await signedUse(stage), record);
    return refusalOfAll(stage, "without evidence", await rogue.challengeAll(fields, []));
  })),
};

export const replayedEvidence: Scenario = {
  name: "replayed-evidence", tells: "yesterday's evidence under today's request", expected: "EVIDENCE_INVALID", leaves: "coordinator",
  play: (stage) => takeOver(stage, async ({ rogue, record, approve }) => {
    const evidence = await stage.step("alice approves one request", async () => approve(rogue.fields(await signedUse(stage), record)));
    return await stage.step("her evidence under another request", async () => refusalOfAll(stage, "replayed", await rogue.challengeAll(rogue.fields(await signedUse(stage), record), [evidence])));
  }),
};

export const swappedRequest: Scenario = {
  name: "swapped-request", tells: "payload, requester or enclave key exchanged after the touch", expected: "EVIDENCE_INVALID", leaves: "coordinator",
  play: (stage) => takeOver(stage, async ({ rogue, record, approve }) => {
    const fields = rogue.fields(await signedUse(stage), record);
    const evidence = await stage.step("alice approves a request", () => approve(fields));
    const { use } = fields;
    await stage.step("another payload", async () => {
      const commitment = payloadCommitment(use.site, systemRandom.bytes(32), new Uint8Array([1]));
      const code = refusalOfAll(stage, "another payload", await rogue.challengeAll({ ...fields, use: { ...use, body: { ...use.body, commitment } } }, [evidence]));
      stage.expect(code === "REQUEST_FORGED", `another payload ended with ${code}`);
    });
    await stage.step("another requester", async () => {
      const code = refusalOfAll(stage, "another requester", await rogue.challengeAll({ ...fields, use: { ...use, by: "mallory" } }, [evidence]));
      stage.expect(code === "UNKNOWN_CLIENT", `another requester ended with ${code}`);
    });
    return await stage.step("another enclave key", async () => refusalOfAll(stage, "another enclave", await rogue.challengeAll({ ...fields, enclave: anotherEnclave() }, [evidence])));
  }),
};

/** For the story: both lies under one take-over. Gives the codes with which all holders refused. */
export async function takeOverAndLie(stage: Stage): Promise<{ readonly withoutEvidence: string; readonly replayed: string }> {
  let withoutEvidence = "";
  const replayed = await takeOver(stage, async ({ rogue, record, approve }) => {
    withoutEvidence = refusalOfAll(stage, "without evidence", await rogue.challengeAll(rogue.fields(await signedUse(stage), record), []));
    const evidence = await approve(rogue.fields(await signedUse(stage), record));
    return refusalOfAll(stage, "replayed", await rogue.challengeAll(rogue.fields(await signedUse(stage), record), [evidence]));
  });
  return { withoutEvidence, replayed };
}
