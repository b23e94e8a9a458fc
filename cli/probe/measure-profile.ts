/**
 * The two rounds of a probe: calls of made-up models, then calls of the plans that are made for the machine as these
 * describe it, since which shapes a plan has depends on the machine. These plans are timed in as much memory as they
 * have, of which the caches may hold all; where both rounds timed the same work, theirs counts.
 */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { type MeasuredCall, sortCalls } from "./measure-calls.ts";

export interface ProfileMeasurement {
  readonly samples: readonly Plan[];
  readonly plansFor: (profile: HardwareProfile) => Promise<readonly Plan[]>;
  /** `footprint`: bytes of memory that the calls of a plan go through at least. */
  readonly measure: (plans: readonly Plan[], footprint: number) => Promise<readonly MeasuredCall[]>;
  /** For the made-up models. */
  readonly footprint: number;
  readonly profileOf: (calls: readonly MeasuredCall[]) => HardwareProfile;
}

export async function measureProfile({
  samples,
  plansFor,
  measure,
  footprint,
  profileOf,
}: ProfileMeasurement): Promise<HardwareProfile> {
  const known = await measure(samples, footprint);
  const profile = profileOf(known);
  const plans = await plansFor(profile);
  if (plans.length === 0) return profile;
  const own = await measure(plans, 0);
  const timed = new Set(own.map(workOf));
  return profileOf(sortCalls([...known.filter((call) => !timed.has(workOf(call))), ...own]));
}

function workOf({ ns: _, ...work }: MeasuredCall): string {
  return JSON.stringify(work);
}
