import { createInterface } from "node:readline";
import { isNamed } from "../../agent/runtime/errors.ts";
import type { BoxId, DemoSite } from "./site.ts";

const help = `commands, one a line (also from a pipe):
  touch BOX FINGER    alice-index at box-1, bob-index at box-2, eve-index at box-1, or any stranger's name
  kill BOX            SIGKILL of its agent
  revive BOX
  status
  quit
  In another terminal: shardkeep --client PATH use encrypt --key payroll --resource payroll/x --reason test --in FILE`;

const isBoxOf = (site: DemoSite, name: string | undefined): name is BoxId => site.boxes.some((box) => box === name);

/** Keeps the site up and does what is typed. */
export async function interact(site: DemoSite, say: (line: string) => void): Promise<void> {
  say(help.replace("PATH", site.path("coordinator", "clients", "admin", "client.yaml")));
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, box, ...rest] = line.trim().split(/\s+/);
    if (command === "quit") return;
    try {
      say(await act(site, command ?? "", box, rest));
    } catch (error) {
      say(isNamed(error) ? error.toString() : String(error));
    }
  }
}

async function act(site: DemoSite, command: string, box: string | undefined, [finger = ""]: readonly string[]): Promise<string> {
  if (command === "status") {
    const { boxes, keys } = await site.client.request("status", {});
    return [...boxes.map((one) => `${one.box} ${one.state}, HSM ${one.hsm}, sensor ${one.sensor}${one.emulated ? " (emulated)" : ""}`), ...keys.map((key) => `key ${key.key}: ${key.threshold} of ${key.holders.length}, ${key.live} there`)].join("\n");
  }
  if (!isBoxOf(site, box)) return help;
  switch (command) {
    case "touch": await site.sensor(box).press(finger); return `${finger} at ${box}`;
    case "kill": await site.kill(box); return `${box} is dead`;
    case "revive":
      if (site.processes.get(box)?.running === true) return `${box} is running`;
      await site.startBox(box);
      return `${box} is back`;
    default: return help;
  }
}
