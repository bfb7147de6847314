import type { Scenario } from "../stage.ts";
import { coordinatorCrash, diesAfterActivated, diesAfterPrepared } from "./crashes.ts";
import { compromisedHsm, threeHoldersDown, twoHoldersDown } from "./holders.ts";
import { lostBox, returningBox } from "./lost-box.ts";
import { lostAdministrators } from "./lost-administrators.ts";
import { lyingDealer } from "./lying-dealer.ts";
import { oldBackup } from "./old-backup.ts";
import { confirmButton, panelUnplugged, tamper } from "./panel.ts";
import { periodic } from "./periodic.ts";
import { recordChange, rollbackRecord } from "./record.ts";
import { jammedToTheFloor, ourNetwork } from "./silence.ts";
import { replaceBox } from "./replace-box.ts";
import { lyingCoordinator, replayedEvidence, swappedRequest } from "./takeover.ts";
import { notPermitted, twoRequests, use, wrongFinger, wrongResource } from "./use.ts";

/** In the order in which `all` plays them. Names are a contract: add, never rename. */
export const scenarios: readonly Scenario[] = [
  use, wrongFinger, notPermitted, wrongResource, compromisedHsm, replayedEvidence, swappedRequest, lyingCoordinator, twoRequests, twoHoldersDown, threeHoldersDown,
  rollbackRecord, recordChange, tamper, confirmButton, panelUnplugged, lostAdministrators, replaceBox,
  lostBox, returningBox, lyingDealer, coordinatorCrash, diesAfterPrepared, diesAfterActivated, ourNetwork, jammedToTheFloor, oldBackup, periodic,
];
