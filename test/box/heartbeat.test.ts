import t from "tap";
import { InProcessSite } from "../support/in-process-site.ts";

void t.test("beats that take longer than their interval do not pile up at the HSM", async (t) => {
  const site = await InProcessSite.start({ people: [], rules: [] });
  const { hsm } = site.box("box-1");
  const selfTest = hsm.selfTest.bind(hsm);
  let asked = 0;
  let answer: () => void = () => undefined;
  hsm.selfTest = async () => {
    asked += 1;
    await new Promise<void>((resolve) => { answer = resolve; });
    await selfTest();
  };
  await site.clock.advance(60_000);
  t.equal(asked, 1, "the HSM is slow: it is not asked again meanwhile");
  answer();
  await site.clock.advance(10_000);
  t.equal(asked, 2, "and once it has answered, it is");
});
