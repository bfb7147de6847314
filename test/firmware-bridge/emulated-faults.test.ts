import t from "tap";
import { enrolledBridge } from "./support/emulated-bridge.ts";

/** hardware/fingerprint.md §8, as the emulator makes them; every step of a touch in turn is in identify.test.ts. */
const load = 0x07;
const upload = 0x08;
const line: readonly (readonly [name: string, how: Readonly<Record<string, unknown>>])[] = [
  ["drop-byte", { at: 9, opcode: load }],
  ["flip-byte", { at: 9, opcode: load }],
  ["insert-byte", { at: 4, opcode: load }],
  ["stray-bytes", { bytes: [0xa7, 0xef], opcode: load }],
  ["bad-checksum", { opcode: upload }],
  ["bad-length", { length: 0xffff, opcode: load }],
  ["wrong-pid", { opcode: load }],
  ["wrong-address", { opcode: load }],
  ["late", { ms: 1200, opcode: load }],
  ["silent", { opcode: load }],
  ["double", { opcode: load }],
  ["previous", { opcode: upload }],
  ["missing-end", { opcode: upload }],
  ["answer", { opcode: load, code: 0x21 }],
];

void t.test("faults of the line: that touch is dropped, a further one is matched", async (t) => {
  const four = [0, 1, 2, 3].map((part) => line.filter((_, index) => index % 4 === part));
  await Promise.all(four.map(async (faults) => {
    const { bench, alice } = await enrolledBridge(t);
    for (const [name, how] of faults) {
      await bench.fault(name, { times: 1, ...how });
      const { outcome, touches } = await bench.touchUntilOver([alice], "alice-index");
      t.match(outcome, { outcome: "matched", slot: 0 }, name);
      t.ok(touches >= 2, `${name}: ${touches} touches`);
      await bench.emulator.control({ cmd: "clear-faults" });
    }
    await bench.fault("split");
    // Held as long as it takes, however busy the machine is.
    t.match(await bench.touchUntilOver([alice], "alice-index", 10_000), { outcome: { outcome: "matched" }, touches: 1 }, "split anywhere is no fault");
  }));
});
