import { exitWithParent, serveParent, tellParent } from "../runtime/ipc.ts";
import { systemRandom } from "../runtime/random.ts";
import { overwriteYoungHeap } from "../runtime/young-heap.ts";
import { enclaveCalls } from "./calls.ts";
import { EnclaveCore } from "./core.ts";

exitWithParent();
// After `done` it waits for its parent to end it: there a memory scan can stop it and look.
const core = new EnclaveCore(systemRandom, () => {
  overwriteYoungHeap();
  tellParent("done");
});
serveParent(enclaveCalls, {
  keys: () => core.keys,
  payload: async (args) => {
    await core.payload(args);
    return null;
  },
  create: (args) => core.create(args),
  operate: (args) => core.operate(args),
});
tellParent("ready");
