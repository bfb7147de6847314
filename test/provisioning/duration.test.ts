import t from "tap";
import { duration, written } from "../../provisioning/duration.ts";

void t.test("times as people write them", (t) => {
  t.strictSame(["90s", "30m", "2h"].map((text) => duration.parse(text)), [90_000, 1_800_000, 7_200_000]);
  for (const text of ["", "90", "0s", "-1h", "1.5h", "1d", "1h30m", "h", "1 h", "9999999s"]) t.notOk(duration.safeParse(text).success, text);
  t.end();
});

void t.test("and as people read them", (t) => {
  t.strictSame([0, 999, 59_999, 60_000, 61_000, 3_599_999, 3_600_000, 7_500_000, 90_000_000].map(written), ["0s", "0s", "59s", "1m", "1m 1s", "59m 59s", "1h", "2h 5m", "25h"]);
  t.end();
});
