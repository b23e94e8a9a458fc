/**
 * The memory of this process as the plan counts it: RssAnon + RssShmem of /proc/self/status. Page cache and mapped
 * files are not in it (VmHWM counts those, so it is no measure of a budget). Elsewhere than on Linux nothing is measured.
 */
import { readFileSync } from "node:fs";
import { invariant } from "../schemas/diagnostic.ts";

const KIB = 1024;

/** Bytes in use now; null where the system does not tell. */
export function residentBytes(): number | null {
  const status = readText("/proc/self/status");
  if (status === undefined) return null;
  return (kibibytes(status, "RssAnon") + kibibytes(status, "RssShmem")) * KIB;
}

/** The largest value of {@link residentBytes} between construction and `stop`, sampled. */
export class PeakMemory {
  #peak = residentBytes();
  readonly #timer: NodeJS.Timeout;

  constructor(everyMilliseconds: number) {
    this.#timer = setInterval(() => this.sample(), everyMilliseconds);
    this.#timer.unref();
  }

  /** Samples now, and returns the peak in bytes. */
  sample(): number | null {
    const now = residentBytes();
    if (now !== null && (this.#peak === null || now > this.#peak)) this.#peak = now;
    return this.#peak;
  }

  stop(): number | null {
    clearInterval(this.#timer);
    return this.sample();
  }
}

/**
 * Bytes that this process could still take without swapping: the machine's, or less where a control group limits it.
 * Page cache counts as free, since the kernel gives it up. Null where the system does not tell.
 */
export function availableBytes(): number | null {
  const meminfo = readText("/proc/meminfo");
  if (meminfo === undefined) return null;
  const machine = kibibytes(meminfo, "MemAvailable") * KIB;
  const group = availableInGroup();
  return group === null ? machine : Math.min(machine, group);
}

/** What the control group (version 2) still allows; null without a limit. */
function availableInGroup(): number | null {
  const path = /^0::(.*)$/m.exec(readText("/proc/self/cgroup") ?? "")?.[1];
  if (path === undefined) return null;
  const read = (name: string) => readText(`/sys/fs/cgroup${path === "/" ? "" : path}/memory.${name}`)?.trim();
  const [limit, current, stat] = [read("max"), read("current"), read("stat")];
  if (limit === undefined || limit === "max" || current === undefined) return null;
  const cached = /^inactive_file (\d+)$/m.exec(stat ?? "")?.[1] ?? "0";
  return Math.max(0, Number(limit) - Number(current) + Number(cached));
}

function kibibytes(text: string, key: string): number {
  const value = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  invariant(value !== undefined, `/proc has no ${key}`);
  return Number(value);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // Not Linux, or hidden from us.
  }
}
