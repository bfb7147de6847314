import t from "tap";
import { playScenarios, reshardScenarios } from "../support/demo.ts";

void t.test("the scenarios of loss, lies and crashes while a key is re-sharded", (t) => playScenarios(t, reshardScenarios));
