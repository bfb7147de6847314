import { ProcessSite, type SitePlan } from "../../provisioning/demo/process-site.ts";

export const say = (line: string): void => { process.stderr.write(`${line}\n`); };
export const boxesOf = (n: number): string[] => Array.from({ length: n }, (_, i) => `box-${i + 1}`);

/** The sizes of keys and of their sites: t of n. */
export interface Size { readonly t: number; readonly n: number }

/** A sealed site of n boxes whose sensors answer at once, with one person who may make and use the key `bench`. */
export async function buildSite({ n }: Size, { coordinator, box }: Pick<SitePlan, "coordinator" | "box">): Promise<ProcessSite> {
  const site = new ProcessSite({ boxes: boxesOf(n), boxEntry: "test/bench/instant-box.js", coordinator, ...(box === undefined ? {} : { box }) });
  await site.provision();
  await site.startBoxes();
  await site.client.request("person-enrol", { person: "alice", finger: "index", box: "box-1", roles: ["officer"] });
  await site.client.request("site-apply", { policy: {
    roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }], clients: [],
    rules: [{ key: "bench", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }],
  } });
  await site.client.request("site-seal", {});
  await site.boxesReady();
  return site;
}
