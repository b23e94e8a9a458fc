/** Starts a run that would take minutes, and ends the process in the middle of it (addon.test.ts). */
import { readFileSync } from "node:fs";
import { openEngine } from "../../runtime/addon.ts";

const { plan, file } = JSON.parse(readFileSync(process.argv[2]!, "utf8"));
const engine = openEngine({ backend: "cpu", serialLanes: false, diskThrottle: 10_000 });
await engine.load(plan, new Map([["w", file]]));
engine.run({ program: "train-step", part: "steady" }).catch(() => {});
setTimeout(() => process.exit(7), 50);
