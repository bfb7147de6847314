import t from "tap";
import { memoryHsm } from "../support/memory-hsm.ts";
import { hsmContract } from "./contract.ts";

hsmContract(t, memoryHsm());
