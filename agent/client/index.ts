/**
 * Shardkeep for programs. A client asks; people at sensors approve; the answer comes back sealed to this process.
 *
 *     import { connectClient, openFile, readClient, sealFile, systemParts } from "shardkeep";
 *
 *     const client = await connectClient(readClient("client.yaml"), systemParts);
 *     try {
 *       await sealFile(client, "march.csv", "march.csv.sealed", { key: "payroll", resource: "payroll/2026/march", reason: "monthly run" }, {
 *         onProgress: (progress) => { if (progress.state === "accepted") console.error(`code ${progress.code}`); },
 *       });
 *     } finally {
 *       await client.close();
 *     }
 *
 * Every error is a ShardkeepError with a stable `code`, a `message` and, where there is one, a `remedy`.
 */
import { systemClock } from "../runtime/clock.ts";
import { silentLog } from "../runtime/log.ts";
import { systemRandom } from "../runtime/random.ts";
import type { ClientParts } from "./client.ts";

export { addClient, type NewClient } from "./add.ts";
export { acceptClient, admitClient, entryOf, hasKeys, judgeClientRequest, parseClientAnswer, requestClient, type ClientEntry } from "./file-pair.ts";
export type { RecordChange } from "./change-record.ts";
export { mosquittoAcl } from "../mqtt/mosquitto.ts";
export { connectClient, type Client, type ClientParts } from "./client.ts";
export { clientConfig, readClient, type ClientConfig, type ClientIdentity } from "./config.ts";
export { ClientError, FileError, type ClientErrorCode } from "./errors.ts";
export { inviteBox } from "./invite.ts";
export { openFile, openStream, sealFile, sealStream, type SealAsk } from "./files.ts";
export { fileHeader, readHeader, type FileHeader, type HeadedSource } from "./header.ts";
export type { RecoverAsk, Recovered } from "./recover.ts";
export type { ReshardAsk, Resharded } from "./reshard.ts";
export type { Ask, Outcome, Progress, UseOptions } from "./use.ts";
export { ShardkeepError } from "../runtime/errors.ts";

/** The machine's own clock and randomness, and no log. */
export const systemParts: ClientParts = { clock: systemClock, random: systemRandom, log: silentLog };
