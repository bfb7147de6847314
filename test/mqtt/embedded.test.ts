import { brokerContract } from "./contract.ts";
import { embedded, kinds } from "./support/brokers.ts";
import { certificates } from "./support/certificates.ts";

const site = await certificates(Object.keys(kinds));
await brokerContract(await embedded(site), site);
