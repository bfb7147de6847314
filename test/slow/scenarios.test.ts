import t from "tap";
import { playScenarios, slowScenarios } from "../support/demo.ts";

for (const name of slowScenarios) void t.test(`${name}: longer than a scenario may take in every run of the tests`, (t) => playScenarios(t, [name]));
