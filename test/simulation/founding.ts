import { Shelf } from "../../agent/box/shelf.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { challengeSecretContext } from "../../agent/protocol/joining.ts";
import { atRestAad, keyRecordHash, sharePrefix, type KeyRecord } from "../../agent/protocol/key-record.ts";
import { seal } from "../../agent/protocol/seal.ts";
import type { SiteRecord, SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { concat, toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import { putJson } from "../../agent/store/json.ts";
import type { Change } from "../../agent/store/store.ts";
import { sha256 } from "../support/hash.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import type { Machine } from "./party.ts";
import { zoneOf } from "./weather.ts";
import { coordinatorId, type World } from "./world.ts";

const noDigest = toBase64url(new Uint8Array(32));

interface Founded {
  readonly record: SiteRecord;
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly client: ReturnType<typeof generateSigner>;
}

/** A site as it is after its ceremony: joined boxes, a sealed record, every key at epoch 1. */
export async function found(world: World, site: string): Promise<Founded> {
  const { weather } = world;
  const center = world.machine(coordinatorId);
  const hsm = memoryHsm(coordinatorId, center.token);
  const authority = toBase64url(await hsm.createKey("authority"));
  const client = generateSigner();
  const body: SiteRecordBody = {
    version: 1, previous: null, sealed: true, authority, tlsAuthority: noDigest,
    coordinator: { id: coordinatorId, key: toBase64url(await hsm.createKey("identity")) },
    boxes: await Promise.all(weather.boxes.map(async (id) => ({ id, zone: zoneOf(id), key: await join(world.machine(id), center, site) }))),
    people: [], roles: [], rules: [], clients: [{ id: "cli", key: client.publicKey, admin: true }],
  };
  const record = await signStatement({ sign: (message) => hsm.sign("authority", message) }, "site-record", site, coordinatorId, body);
  const everywhere = [putJson("site-record", record)];
  for (const id of weather.boxes) await openMemoryStore(world.machine(id).disk).commit(everywhere);
  const secrets = new Map<string, Uint8Array>();
  const kept: Change[] = [];
  for (const { key, threshold, holders } of weather.keys) {
    const secret = systemRandom.bytes(32);
    secrets.set(key, secret);
    const born = await bear(world, site, key, threshold, holders, secret);
    kept.push(putJson(`key/${key}`, { record: born, prepared: [] }), putJson(`attempt/${key}`, 1));
  }
  await openMemoryStore(center.disk).commit([...everywhere, ...kept]);
  return { record, secrets, client };
}

async function join(machine: Machine, center: Machine, site: string): Promise<string> {
  const hsm = memoryHsm(machine.name, machine.token);
  const key = toBase64url(await hsm.createKey("identity"));
  const recipient = await hsm.createSealKey({ generation: 1 });
  const { enc, ct } = await hsm.createVault({ generation: 1 });
  const info = challengeSecretContext(site, machine.name);
  const secret = await memoryHsm(coordinatorId, center.token).createChallengeSecret({ box: machine.name, recipient, info });
  await hsm.acceptChallengeSecret({ box: machine.name, generation: 1, info, ...secret });
  await openMemoryStore(machine.disk).commit([putJson("vault", { generation: 1, enc: toBase64url(enc), ct: toBase64url(ct) })]);
  return key;
}

/** Epoch 1 as a birth leaves it, dealt here instead of by an enclave. */
async function bear(world: World, site: string, key: string, threshold: number, boxes: readonly string[], secret: Uint8Array): Promise<KeyRecord> {
  const shares = await splitSecret(secret, threshold, boxes.map((_, i) => i + 1));
  const named = boxes.map((box, i) => ({ key, epoch: 1, attempt: 1, box, x: i + 1 }));
  const digests = named.map((name, i) => sha256(sharePrefix(site, name), shares[i]!));
  const record: KeyRecord = {
    site, key, kind: "aes-256", version: 1, epoch: 1, attempt: 1, threshold, size: boxes.length, margin: 1,
    holders: named.map(({ box, x }, i) => ({ box, x, digest: toBase64url(digests[i]!) })), check: noDigest, plan: noDigest, previous: null, imported: null,
  };
  for (const [i, name] of named.entries()) {
    const { disk, token } = world.machine(name.box);
    const hsm = memoryHsm(name.box, token);
    const store = openMemoryStore(disk);
    const vault = new Shelf(store, site, name.box).vault();
    const recipient = await hsm.openReceiving({ id: key });
    const none = new Uint8Array();
    await hsm.receivePiece({ id: key, ...seal(recipient, none, none, concat(shares[i]!, new Uint8Array(16))), info: none, aad: none, digestPrefix: sharePrefix(site, name), digest: digests[i]! });
    const { iv, ct, tag } = await hsm.commitPiece({ id: key, vault, aad: atRestAad(site, name, keyRecordHash(record)) });
    await store.commit([
      putJson(`shard/${key}/current`, { state: "current", record, prepared: [], generation: vault.generation, sealed: { iv: toBase64url(iv), ct: toBase64url(ct), tag: toBase64url(tag) } }),
      putJson(`attempt/${key}`, 1),
    ]);
  }
  return record;
}
