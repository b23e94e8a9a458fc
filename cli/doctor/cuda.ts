/** Whether there is an NVIDIA GPU, the driver for it, and the toolkit to build with; and why not. */
import { spawnSync } from "node:child_process";
import type { CliIo } from "../io.ts";
import type { Finding } from "./finding.ts";

/** As one calls programs, with the search path of the caller; null: it is not there or fails. */
export type Ask = (program: string, ...argv: readonly string[]) => string | null;

export const askWith =
  (env: CliIo["env"]): Ask =>
  (program, ...argv) => {
    const { status, stdout } = spawnSync(program, argv, {
      encoding: "utf8",
      env: { ...env },
      timeout: 20_000,
    });
    return status === 0 ? stdout : null;
  };

/** `home`: where the toolkit is, if the user says so (CUDA_HOME). */
export function findCuda(ask: Ask, home: string | undefined): Finding[] {
  return [findGpu(ask), findToolkit(ask, home ? [`${home}/bin/nvcc`] : ["nvcc", "/usr/local/cuda/bin/nvcc"])];
}

const QUERY = "name,memory.total,compute_cap,driver_version";

function findGpu(ask: Ask): Finding {
  const listing = ask("nvidia-smi", `--query-gpu=${QUERY}`, "--format=csv,noheader,nounits");
  const gpus = (listing ?? "").split("\n").filter((line) => line.trim() !== "");
  if (gpus.length === 0) {
    const why = listing === null ? "nvidia-smi is not there or finds no driver" : "the driver sees no device";
    return { name: "gpu", status: "ok", summary: `none: ${why}`, facts: { devices: [], driver: null } };
  }
  const described = gpus.map((line) => {
    const [name, mebibytes, capability, driver] = line.split(", ");
    return { text: `${name}, ${mebibytes} MiB, compute capability ${capability}`, driver: driver ?? null };
  });
  const driver = described[0]!.driver;
  const devices = described.map(({ text }) => text);
  return {
    name: "gpu",
    status: "ok",
    summary: `${devices.join("; ")}; driver ${driver}`,
    facts: { devices, driver },
  };
}

function findToolkit(ask: Ask, places: readonly string[]): Finding {
  for (const nvcc of places) {
    const version = /release ([\d.]+)/.exec(ask(nvcc, "--version") ?? "")?.[1];
    if (version === undefined) continue;
    return { name: "cuda toolkit", status: "ok", summary: `${version} (${nvcc})`, facts: { version, nvcc } };
  }
  const summary = `none: ${places.join(" and ")} ${places.length > 1 ? "are" : "is"} not there`;
  return { name: "cuda toolkit", status: "ok", summary, facts: { version: null, nvcc: null } };
}
