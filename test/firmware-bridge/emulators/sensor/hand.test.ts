import t from "tap";
import { Hand } from "../../../../firmware-bridge/emulators/sensor/hand.ts";
import { SteppedClock } from "../support/desk.ts";

const alice = { name: "alice", quality: 90 };

async function hand(act: (hand: Hand) => void): Promise<{ hand: Hand; clock: SteppedClock }> {
  const clock = new SteppedClock();
  const made = new Hand(clock);
  act(made);
  await clock.pass(0);
  return { hand: made, clock };
}

void t.test("a touch lasts until the lift, or as long as it was meant to", async (t) => {
  const lasting = await hand((it) => { it.touch(alice); });
  await lasting.clock.pass(100_000);
  t.equal(lasting.hand.finger, alice);
  lasting.hand.lift();
  t.equal(lasting.hand.finger, null);
  const brief = await hand((it) => { it.touch(alice, 500); });
  await brief.clock.pass(499);
  t.equal(brief.hand.finger, alice);
  await brief.clock.pass(1);
  t.equal(brief.hand.finger, null);
});

void t.test("a new touch does not end with the time of the one before", async (t) => {
  const { hand: it, clock } = await hand((one) => { one.touch(alice, 500); one.touch({ name: "bob", quality: 90 }); });
  await clock.pass(1000);
  t.match(it.finger, { name: "bob" });
});

void t.test("a press lifts when what was seen has been used", async (t) => {
  for (const opcode of [0x03, 0x04, 0x05, 0x1b]) {
    const { hand: it, clock } = await hand((one) => { one.press(alice); one.notice(0x02); one.notice(opcode); });
    t.equal(it.finger, alice, "it takes a moment");
    await clock.pass(100);
    t.equal(it.finger, null);
  }
});

void t.test("features of an earlier touch, or a plain touch, lift nothing", async (t) => {
  const earlier = await hand((one) => { one.touch(alice); one.notice(0x02); one.press(alice); one.notice(0x04); });
  await earlier.clock.pass(2999);
  t.equal(earlier.hand.finger, alice);
  await earlier.clock.pass(1);
  t.equal(earlier.hand.finger, null, "3 s are the longest press");
  const touch = await hand((one) => { one.touch(alice); one.notice(0x02); one.notice(0x04); });
  await touch.clock.pass(10_000);
  t.equal(touch.hand.finger, alice);
});
