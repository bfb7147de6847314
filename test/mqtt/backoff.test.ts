import t from "tap";
import { backoffMs } from "../../agent/mqtt/backoff.ts";

const always = (byte: number) => ({ bytes: (length: number) => new Uint8Array(new ArrayBuffer(length)).fill(byte) });

void t.test("full jitter: 0 to a bound that doubles from 1 s to 60 s", (c) => {
  c.same([1, 2, 3, 4, 5, 6, 7, 8, 1000].map((n) => backoffMs(n, always(255))), [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  c.same([1, 4, 1000].map((n) => backoffMs(n, always(0))), [0, 0, 0]);
  c.same([1, 4, 1000].map((n) => backoffMs(n, always(0x80))), [502, 4016, 30_118], "uniform in between");
  c.end();
});
