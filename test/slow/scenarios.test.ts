import t from "tap";
import { playScenarios, slowScenarios } from "../support/demo.ts";

void t.test("the scenarios that take longer than others, or that the simulation plays in every run", (t) => playScenarios(t, slowScenarios));
