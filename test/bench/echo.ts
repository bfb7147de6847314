import { readFileSync } from "node:fs";
import { connect } from "../../agent/mqtt/connection.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";

/** A party of the floor: sends back what it gets, over the same broker and TLS, without reading it. */
interface EchoPlan { readonly url: string; readonly name: string; readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }; readonly from: string; readonly to: string }

const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as EchoPlan;
const transport = connect({ url: plan.url, tls: plan.tls, clientId: plan.name, log: silentLog, random: systemRandom });
transport.onMessage((_topic, payload) => { transport.publish(plan.to, payload, { qos: 1 }).catch(() => undefined); });
await transport.subscribe([plan.from]);
process.stdout.write("ready\n");
process.on("SIGTERM", () => { void transport.close().finally(() => process.exit(0)); });
