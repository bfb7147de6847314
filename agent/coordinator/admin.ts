import { challengeSecretContext, type BoxAnswer } from "../protocol/joining.ts";
import type { z } from "zod";
import { signerOf } from "../hsm/client.ts";
import { boxRequests, type clientRequests } from "../protocol/messages.ts";
import type { Recovery, SiteRecord } from "../protocol/site-record.ts";
import { signStatement } from "../protocol/statement.ts";
import { isByBox } from "../rules/birth.ts";
import { JoinError, judgeBoxRequest } from "../rules/joining.ts";
import { withBox, withClient, withoutBox, withoutClient, withRecovery } from "../rules/record-edits.ts";
import { Refusal } from "../rules/refusal.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { Fleet } from "./fleet.ts";
import type { CoordinatorParts } from "./parts.ts";
import { SiteError } from "./site-keeper.ts";

type Approve = z.infer<typeof clientRequests["client-approve"]["request"]>;
type Enrol = z.infer<typeof clientRequests["person-enrol"]["request"]>;
type Enrolment = z.infer<typeof boxRequests.enrol.response>;
type EnrolPart = z.infer<typeof clientRequests["person-enrol"]["part"]>;

const enrolMs = 90_000;

/** Nothing irreversible is begun for a change that the sealed record would refuse. */
function requireUnsealed({ site }: CoordinatorParts): void {
  if (site.current.body.sealed) {
    throw new ShardkeepError("RECORD_SEALED", "the site record is sealed: it changes only with the fingers that its rule `record` asks for", { remedy: "`site apply`, `site approve`, `person add | remove`, `client add | remove` and `box retire` ask for them" });
  }
}

/** `site approve`: takes a box's signed request, gives it a certificate and its challenge secret (design §6). On a sealed site people have let it in before that. */
export async function approveBox(parts: CoordinatorParts, raw: unknown): Promise<BoxAnswer> {
  const { site, hsm, certifier, config } = parts;
  const request = judgeBoxRequest(raw, site.current);
  const known = site.current.body.boxes.some(({ id }) => id === request.by);
  if (!known) requireUnsealed(parts);

  const certificate = await certifier.certify(request.by, request.body.tlsKey);
  // The same box may ask again (its answer was lost): it gets a new secret, and the old one is gone.
  if (known) await hsm.removeChallengeSecret({ box: request.by });
  const secret = await hsm.createChallengeSecret({ box: request.by, recipient: bytesOf(request.body.sealKey.key), info: challengeSecretContext(config.site, request.by) });
  const record = known ? site.current : await site.change(withBox({ id: request.by, ...request.body }));
  return await signStatement(signerOf(hsm, "authority"), "box-answer", config.site, record.by, {
    box: request.by, certificate, ca: certifier.ca, generation: request.body.sealKey.generation,
    challengeSecret: { enc: toBase64url(secret.enc), ct: toBase64url(secret.ct) }, record,
  });
}

/**
 * `box retire`, its first half: from here on the box is cut out of every key, and people take it out of the record when it
 * holds nothing. Before the seal there are no keys: it leaves at once.
 */
export async function retireBox({ site }: CoordinatorParts, fleet: Fleet, box: string): Promise<SiteRecord> {
  if (site.kindOf(box) !== "box") throw new SiteError("UNKNOWN_BOX", `${box} is no box of this site`, { remedy: "`shardkeep status` lists the boxes" });
  if (!site.current.body.sealed) return await site.change(withoutBox(box));
  await fleet.retire(box);
  return site.current;
}

/** `site recovery` before the seal. */
export async function setRecovery(parts: CoordinatorParts, recovery: Recovery | null): Promise<SiteRecord> {
  requireUnsealed(parts);
  return await parts.site.change(withRecovery(recovery ?? undefined));
}

/** `client remove` before the seal. */
export async function removeClient(parts: CoordinatorParts, client: string): Promise<SiteRecord> {
  requireUnsealed(parts);
  const { site } = parts;
  if (site.kindOf(client) !== "client") throw new SiteError("UNKNOWN_CLIENT", `${client} is no client of this site`, { remedy: "`shardkeep site show` lists the clients" });
  return await site.change(withoutClient(client));
}

/** `client add`: a client's keys are made where it lives; here they get a name. On a sealed site people have given it that before. */
export async function approveClient(parts: CoordinatorParts, { id, key, tlsKey, person, admin }: Approve): Promise<{ certificate: string; ca: string }> {
  const { site, certifier } = parts;
  const known = site.current.body.clients.find((client) => client.id === id);
  if (known === undefined) requireUnsealed(parts);
  const certificate = await certifier.certify(id, tlsKey);
  if (known !== undefined && known.key !== key) throw new JoinError("NAME_TAKEN", `there is another client ${id} with another key`, { remedy: "give the new client another name" });
  if (known === undefined) {
    await site.change(withClient({ id, key, admin, ...(person === undefined ? {} : { person }) }));
  }
  return { certificate, ca: certifier.ca };
}

/** The box enrols and signs what it enrolled; that it is what was asked for is checked here. */
export async function enrolAt({ site, exchange }: CoordinatorParts, fleet: Fleet, box: string, person: string, finger: string, onPart: (part: EnrolPart) => void): Promise<Enrolment> {
  requireThere(site.current, fleet.isLive(box), box);
  const known = site.current.body.people.find((one) => one.id === person);
  if (known?.fingers.some((one) => one.name === finger && one.box === box) === true) {
    throw new SiteError("PERSON_EXISTS", `${person} has ${finger} at ${box} already`, { remedy: "`shardkeep person remove` first, or another --finger" });
  }
  const made = await exchange.request(boxRequests, "enrol", box, { person, finger }, { deadlineMs: enrolMs, onPart });
  const { by, body } = made.enrolled;
  if (!isByBox(made.enrolled, site.current) || by !== box || body.person !== person || body.finger !== finger) throw new Refusal("EVIDENCE_INVALID", `${box} enrolled somebody else`);
  return made;
}

/** A finger that no version took in leaves the sensor again. */
export async function forgetAt({ site, exchange }: CoordinatorParts, fleet: Fleet, box: string, person: string, finger: string): Promise<Record<string, never>> {
  requireThere(site.current, fleet.isLive(box), box);
  return await exchange.request(boxRequests, "unenrol", box, { person, finger });
}

/** Has a box show which one it is: also one that is out, for somebody is to find it. */
export async function identifyBox({ site, exchange }: CoordinatorParts, fleet: Fleet, box: string, forMs: number): Promise<z.infer<typeof boxRequests.identify.response>> {
  requireThere(site.current, fleet.isReachable(box), box);
  return await exchange.request(boxRequests, "identify", box, { forMs });
}

function requireThere({ body }: SiteRecord, isThere: boolean, box: string): void {
  if (!body.boxes.some((one) => one.id === box)) throw new SiteError("UNKNOWN_BOX", `${box} is no box of this site`, { remedy: "`shardkeep status` lists the boxes" });
  if (!isThere) throw new SiteError("UNKNOWN_BOX", `${box} is not there`, { remedy: "`shardkeep status` shows which boxes are silent", retryable: true });
}

/** `person add` before the seal: whom a box enrolled, the record takes in. */
export async function enrolPerson(parts: CoordinatorParts, fleet: Fleet, { person, finger, box, roles }: Enrol, onPart: (part: EnrolPart) => void): Promise<{ record: SiteRecord; sensor: "device" | "emulated" }> {
  requireUnsealed(parts);
  const { site } = parts;
  requireThere(site.current, fleet.isLive(box), box);
  if (roles === undefined && !site.current.body.people.some((one) => one.id === person)) throw new SiteError("UNKNOWN_PERSON", `${person} is new: a role is needed`, { remedy: "add --role" });
  const { enrolled, sensor } = await enrolAt(parts, fleet, box, person, finger, onPart);
  const { slot, template } = enrolled.body;
  return { record: await site.addFinger(person, roles, { name: finger, box, slot, template }), sensor };
}

/** `person remove` before the seal; each box takes the fingers out of its own sensor when it takes the version. */
export async function removePerson(parts: CoordinatorParts, person: string): Promise<SiteRecord> {
  requireUnsealed(parts);
  return await parts.site.removePerson(person);
}
