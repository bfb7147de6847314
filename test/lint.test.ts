import { Linter } from "eslint";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { z } from "zod";
import { root } from "#paths";

/** The rules of eslint.config.mjs that keep the architecture, without those that need types. */
const kept = ["no-restricted-imports", "no-restricted-globals", "no-restricted-properties"];
const entry = z.object({ files: z.array(z.string()).optional(), ignores: z.array(z.string()).optional(), rules: z.record(z.string(), z.unknown()).optional() });
const { default: config } = z.object({ default: z.array(entry) }).parse(await import(pathToFileURL(`${root}eslint.config.mjs`).href));
const configs = config.filter(({ files }) => files !== undefined).map(({ files, ignores, rules = {} }) => ({
  files, ...(ignores === undefined ? {} : { ignores }), rules: Object.fromEntries(Object.entries(rules).filter(([name]) => kept.includes(name))),
})) as Linter.Config[];
const linter = new Linter({ cwd: root });
const refused = (file: string, code: string): boolean => linter.verify(code, configs, { filename: join(root, file) }).length > 0;

void t.test("who may import whom (design §3)", (t) => {
  for (const [file, from, allowed] of [
    ["firmware-bridge/emulators/sensor/device.ts", "../../biometrics/fingerprint/packets.ts", false],
    ["firmware-bridge/emulators/sensor/device.ts", "../../serial/line.ts", false],
    ["firmware-bridge/emulators/sensor/device.ts", "../../../agent/runtime/clock.ts", true],
    ["firmware-bridge/biometrics/fingerprint/packets.ts", "../../emulators/sensor/packets.ts", false],
    ["firmware-bridge/biometrics/fingerprint/channel.ts", "../../serial/line.ts", true],
    ["firmware-bridge/serial/line.ts", "../biometrics/sensor.ts", false],
    ["firmware-bridge/main.ts", "../agent/protocol/topics.ts", false], ["firmware-bridge/main.ts", "./emulators/pty.ts", false], ["firmware-bridge/main.ts", "./serial/discovery.ts", true],
    ["agent/box/box.ts", "../coordinator/fleet.ts", false], ["agent/box/box.ts", "../enclave/client.ts", false], ["agent/box/box.ts", "../rules/judge.ts", true],
    ["agent/box/box.ts", "../hsm/client.ts", true], ["agent/box/box.ts", "../hsm/device.ts", false],
    ["agent/box/box.ts", "../../firmware-bridge/client.ts", true], ["agent/box/box.ts", "../../firmware-bridge/service.ts", false],
    ["agent/coordinator/fleet.ts", "../box/box.ts", false], ["agent/coordinator/fleet.ts", "../enclave/client.ts", true], ["agent/coordinator/fleet.ts", "../enclave/core.ts", false],
    ["agent/coordinator/fleet.ts", "../../firmware-bridge/client.ts", false],
    ["agent/enclave/core.ts", "../hsm/shards.ts", false], ["agent/enclave/core.ts", "../sharding/shamir.ts", true], ["agent/enclave/core.ts", "../mqtt/connection.ts", false],
    ["agent/client/use.ts", "../coordinator/operations.ts", false], ["agent/client/use.ts", "../mqtt/exchange.ts", true],
    ["agent/rules/judge.ts", "../store/store.ts", false], ["agent/rules/judge.ts", "../protocol/request.ts", true],
    ["agent/protocol/topics.ts", "../mqtt/rights.ts", false], ["agent/sharding/field.ts", "../protocol/seal.ts", false], ["agent/store/level.ts", "../protocol/seal.ts", false],
    ["provisioning/status.ts", "../agent/box/init.ts", false], ["provisioning/status.ts", "../agent/client/index.ts", true], ["provisioning/status.ts", "../agent/hsm/service.ts", false],
    ["provisioning/status.ts", "../agent/store/level.ts", false], ["provisioning/doctor/store.ts", "../../agent/store/level.ts", true], ["provisioning/doctor/store.ts", "../../agent/box/box.ts", false],
    ["provisioning/doctor/store.ts", "../machine/lock.ts", true], ["provisioning/machine/lock.ts", "../demo/site.ts", false],
  ] as const) t.equal(refused(file, `import "${from}";`), !allowed, `${file}: ${from}`);
  t.end();
});

void t.test("clock and randomness are injected into what decides", (t) => {
  for (const code of ["new Date();", "performance.now();", "setTimeout(f, 1);", "setInterval(f, 1);", "setImmediate(f);", "crypto.subtle;", "Math.random();", "name;"]) {
    for (const folder of ["rules", "box", "coordinator"]) t.ok(refused(`agent/${folder}/some.ts`, code), `agent/${folder}: ${code}`);
  }
  t.notOk(refused("agent/runtime/clock.ts", "new Date();"));
  t.notOk(refused("agent/box/main.ts", "setTimeout(f, 1);"), "the processes' own mains wire the real ones");
  t.end();
});
