import t from "tap";
import { brokerContract } from "./contract.ts";
import { kinds, mosquitto } from "./support/brokers.ts";
import { certificates } from "./support/certificates.ts";

const site = await certificates(Object.keys(kinds));
const broker = await mosquitto(site);
if (broker === null) t.pass("the contract on Mosquitto", { skip: "mosquitto is not installed: apt-get install mosquitto" });
else await brokerContract(broker, site);
