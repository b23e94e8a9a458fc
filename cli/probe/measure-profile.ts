/**
 * The two rounds of a probe: calls of made-up models, then calls of the plans that are made for the machine as these
 * describe it, since which shapes a plan has depends on the machine.
 */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { type MeasuredCall, mergeAlike } from "./measure-calls.ts";

export interface ProfileMeasurement {
  readonly samples: readonly Plan[];
  readonly plansFor: (profile: HardwareProfile) => Promise<readonly Plan[]>;
  readonly measure: (plans: readonly Plan[]) => Promise<readonly MeasuredCall[]>;
  readonly profileOf: (calls: readonly MeasuredCall[]) => HardwareProfile;
}

export async function measureProfile({
  samples,
  plansFor,
  measure,
  profileOf,
}: ProfileMeasurement): Promise<HardwareProfile> {
  const known = await measure(samples);
  const profile = profileOf(known);
  const plans = await plansFor(profile);
  if (plans.length === 0) return profile;
  const own = await measure(plans);
  return profileOf(
    mergeAlike(
      [...known, ...own].map(({ ns, product = null, ...work }) => ({ work: { ...work, product }, ns })),
    ),
  );
}
