/**
 * A machine that was measured to be slower than the one a plan was made for: the plan runs there, and takes longer than it
 * says (DESIGN §7). Only a probed profile is compared, since a shipped one says nothing of this machine.
 */
import { existsSync } from "node:fs";
import { type Diagnostic, diagnostic } from "../schemas/diagnostic.ts";
import type { HardwareProfile } from "../schemas/hardware.ts";
import type { Plan } from "../schemas/plan.ts";
import { namedHardware, probedProfilePath } from "./load-recipe.ts";

type Machine = Parameters<typeof namedHardware>[1];

/** Rates below this part of those that were planned with are told; probes of one machine differ less. */
const NOTICED = 0.8;

/** One warning with all rates that are lower; throws what is wrong with the probed profile. */
export function checkSpeed({ meta }: Plan, machine: Machine): Diagnostic[] {
  // Planning put the whole profile there.
  const planned = meta.hardware as unknown as HardwareProfile;
  const path = probedProfilePath(machine.env, planned.compute.kind);
  if (!existsSync(path)) return [];
  const probed = namedHardware(path, machine);
  if (probed.compute.kind !== planned.compute.kind) return [];
  const own = new Map(ratesOf(probed));
  const slower = ratesOf(planned).flatMap(([name, rate]) => {
    const here = own.get(name);
    if (here === undefined || here >= NOTICED * rate) return [];
    return [`${name}: ${Math.round((100 * here) / rate)} % of what was planned with`];
  });
  if (slower.length === 0) return [];
  return [
    diagnostic("hardware.slower", {
      severity: "warning",
      summary: `this machine is slower than ${planned.name}, which the plan was made for`,
      detail: slower.join("\n"),
      hint: "steps will take longer than predicted; plan again with `hardware: auto` for what suits this machine",
    }),
  ];
}

/** Bytes or operations a second, by the names of a profile's keys. */
function ratesOf({ compute, disk, links }: HardwareProfile): readonly (readonly [string, number])[] {
  const named = {
    ...prefixed("matrix_rate", compute.matrix_rate),
    memory_bandwidth: compute.memory_bandwidth,
    "disk.bandwidth": disk.bandwidth,
    ...prefixed("links", links ?? {}),
  };
  return Object.entries(named).flatMap(([name, rate]) => (typeof rate === "number" ? [[name, rate]] : []));
}

function prefixed(key: string, values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${key}.${name}`, value]));
}
