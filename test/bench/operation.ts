import { createECDH } from "node:crypto";
import { readBoxConfig } from "../../agent/box/config.ts";
import type { Ask } from "../../agent/client/index.ts";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { verifyEs256 } from "../../agent/protocol/es256.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import type { ProcessSite } from "../../provisioning/demo/process-site.ts";
import { percentile, round, rowOf, timed, type Row } from "./figures.ts";
import { measureRoundTrips } from "./floor.ts";
import { boxesOf, buildSite, say, type Size } from "./site.ts";

const sizes = [{ t: 2, n: 3 }, { t: 3, n: 5 }, { t: 5, n: 9 }] as const;
const runs = 60;
/** Between operations, as between people: the next enclave is started ahead meanwhile. How many fit is the other figure. */
const pauseMs = 400;
const inFlight = 20;
const throughputOperations = 100;
const ask: Ask = { key: "bench", operation: "encrypt", resource: "bench", reason: "bench", payload: new Uint8Array(32) };

/** p50 of one MAC in the HSM, one signature verified, one key agreement; ms. */
async function measureCrypto(site: ProcessSite): Promise<number> {
  await site.stop("box-1");
  const hsm = new HsmProcess(readBoxConfig(["--config", site.configOf("box-1")]).hsm, { log: silentLog });
  await hsm.start();
  try {
    const message = new Uint8Array(64);
    const publicKey = toBase64url(await hsm.publicKey("identity"));
    const signature = toBase64url(await hsm.sign("identity", message));
    const own = createECDH("prime256v1");
    own.generateKeys();
    const peer = createECDH("prime256v1").generateKeys();
    const mac = percentile(await timed(200, () => hsm.mac({ box: "box-1", message })), 0.5);
    const verify = percentile(await timed(200, () => verifyEs256(publicKey, message, signature)), 0.5);
    const agree = percentile(await timed(200, () => own.computeSecret(peer)), 0.5);
    return mac + verify + agree;
  } finally {
    await hsm.stop();
  }
}

async function throughput(site: ProcessSite): Promise<number> {
  let left = throughputOperations;
  const begun = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) await site.client.use(ask);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return throughputOperations / ((performance.now() - begun) / 1000);
}

async function measure({ t, n }: Size): Promise<{ row: Row; perSecond: number | undefined }> {
  say(`${t} of ${n}: building the site …`);
  const site = await buildSite({ t, n }, { coordinator: { operationMs: 60_000 } });
  try {
    await site.client.use({ ...ask, operation: "create", payload: new Uint8Array(), create: { kind: "aes-256", threshold: t, holders: boxesOf(n), imported: false } });
    say(`${t} of ${n}: ${runs} operations`);
    const samples = await timed(runs, () => site.client.use(ask), { warm: 5, pauseMs });
    const perSecond = n === 5 ? await throughput(site) : undefined;
    const crypto = await measureCrypto(site);
    await site.stopAll();
    const trips = await measureRoundTrips(site.folder, n, 200);
    return { row: rowOf({ t, n }, samples, trips, crypto), perSecond };
  } finally {
    await site.end(false);
  }
}

/** An operation from the client's call to its result, for every size; and how many fit into a second. */
export async function measureOperations() {
  const rows: Row[] = [];
  let perSecond: number | undefined;
  for (const size of sizes) {
    const measured = await measure(size);
    rows.push(measured.row);
    perSecond ??= measured.perSecond;
  }
  return {
    rows, inFlight, operationsPerSecond: perSecond === undefined ? null : round(perSecond),
    sensor: "instant: the finger's and the sensor's time are taken out", pauseMs, hsm: "SoftHSM2",
  };
}
