import t from "tap";
import { boxTable, recoveryLines } from "../../provisioning/status.ts";

const box = { box: "box-1", zone: "here", state: "ready", hsm: "software", sensor: "ready", emulated: false, holdings: 1, siteRecord: 2, sinceMs: 61_000, panel: "none", panelEmulated: false, degraded: false, recoveryMs: null } as const;

void t.test("a person sees which box is degraded, and by what", async (t) => {
  t.strictSame(boxTable([box, { ...box, box: "box-2", panel: "absent", panelEmulated: true, degraded: true }, { ...box, box: "box-3", emulated: true, panel: "ready", panelEmulated: true }]), [
    "BOX    ZONE  STATE            HSM       SENSOR            PANEL              SHARDS  RECORD  SINCE",
    "box-1  here  ready            software  ready             none               1       2       1m 1s",
    "box-2  here  ready, degraded  software  ready             absent (emulated)  1       2       1m 1s",
    "box-3  here  ready            software  ready (emulated)  ready (emulated)   1       2       1m 1s",
  ]);
});

void t.test("a recovery that waits is said first, and of each box how long still", async (t) => {
  t.strictSame(recoveryLines({ recovery: null, boxes: [box] }), []);
  t.strictSame(recoveryLines({ recovery: { version: 3, hash: "", leftMs: 7_200_000 }, boxes: [box, { ...box, box: "box-2", recoveryMs: 7_260_000 }] }), [
    "RECOVERY: version 3, made with the recovery key, is in force in 2h unless people veto it: shardkeep site recovery --none",
    "RECOVERY: box-2 has still to run 2h 1m",
  ]);
});
