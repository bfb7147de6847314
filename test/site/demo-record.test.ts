import t from "tap";
import { playScenarios, recordScenarios } from "../support/demo.ts";

void t.test("the site record is changed by people's fingers, and by nothing else", (t) => playScenarios(t, recordScenarios));
