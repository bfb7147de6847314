import { register } from "node:module";
import type { Task, Told } from "./pool.ts";

/* Runs seeds one after the other until one breaks a rule. The hooks come first: what they change is loaded after them. */
process.once("message", (task: Task) => {
  register("./hooks.js", import.meta.url, { data: { toy: task.toy, changes: task.changes } });
  void run(task);
});

async function run({ seeds, withTrace }: Task): Promise<void> {
  const { runSeed } = await import("./run-seed.ts");
  for (const seed of seeds) {
    const { trace, ...ran } = await runSeed(seed);
    const told: Told = { ...ran, trace: withTrace || ran.violation !== null ? trace : [] };
    await new Promise((resolve) => { process.send?.(told, resolve); });
    if (ran.violation !== null) break;
  }
  process.disconnect();
}
