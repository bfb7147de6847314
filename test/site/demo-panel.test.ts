import t from "tap";
import { panelScenarios, playScenarios } from "../support/demo.ts";

void t.test("what a panel is for", (t) => playScenarios(t, panelScenarios));
