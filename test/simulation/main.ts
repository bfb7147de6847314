import { register } from "node:module";
register("./hooks.js", import.meta.url, { data: { toy: true, changes: [] } });
const { runSeed } = await import("./run-seed.ts");
const from = Number(process.argv[2] ?? 0);
const n = Number(process.argv[3] ?? 10);
const begun = performance.now();
for (let s = from; s < from + n; s++) {
  const at = performance.now();
  const r = await runSeed(s);
  console.log(s, (performance.now() - at).toFixed(0), r.settled, r.burnt, r.weather.liar, r.trace.length, r.violation ?? "ok");
  if (n === 1) console.log(r.trace.join("\n"), JSON.stringify(r.weather));
}
console.log((performance.now() - begun) / n);
