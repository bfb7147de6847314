import type { Scenario } from "../stage.ts";
import { compromisedHsm, threeHoldersDown, twoHoldersDown } from "./holders.ts";
import { lyingCoordinator, replayedEvidence, swappedRequest } from "./takeover.ts";
import { notPermitted, twoRequests, use, wrongFinger, wrongResource } from "./use.ts";

/** In the order in which `all` plays them. Names are a contract: add, never rename. */
export const scenarios: readonly Scenario[] = [
  use, wrongFinger, notPermitted, wrongResource, compromisedHsm, replayedEvidence, swappedRequest, lyingCoordinator, twoRequests, twoHoldersDown, threeHoldersDown,
];
