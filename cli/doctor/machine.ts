/** Node.js, the system, memory, and the measured profile of this machine. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import { availableBytes } from "../../runtime/memory.ts";
import { exitCodeOf } from "../../schemas/diagnostic.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { Finding } from "./finding.ts";

/** As package.json asks for. */
const OLDEST_NODE = 20;

export function findNode(version: string): Finding {
  const old = Number(version.split(".")[0]) < OLDEST_NODE;
  return {
    name: "node",
    status: old ? "problem" : "ok",
    summary: `${version} (${process.execPath})`,
    ...(old && { hint: `lema needs Node.js ${OLDEST_NODE} or newer` }),
    facts: { version, path: process.execPath },
  };
}

export function findSystem(): Finding {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const glibc = header.glibcVersionRuntime ?? null;
  const library = glibc === null ? "no glibc" : `glibc ${glibc}`;
  return {
    name: "system",
    status: "ok",
    summary: `${process.platform} ${release()}, ${process.arch}, ${library}, ${availableParallelism()} threads`,
    facts: {
      platform: process.platform,
      arch: process.arch,
      kernel: release(),
      glibc,
      threads: availableParallelism(),
    },
  };
}

export function findMemory(): Finding {
  const [total, available] = [totalmem(), availableBytes()];
  const free = available === null ? "how much is free is not told here" : `${formatBytes(available)} free`;
  return {
    name: "memory",
    status: "ok",
    summary: `${free}, of ${formatBytes(total)}`,
    facts: { total, available },
  };
}

const PROFILE = "hardware profile";

/** The processor's. */
export function findProfile(path: string): Finding {
  if (!existsSync(path)) {
    return {
      name: PROFILE,
      status: "note",
      summary: `none at ${path}; \`hardware: auto\` predicts with a shipped one`,
      hint: "measure this machine once: `lema probe`",
      facts: { path, valid: null },
    };
  }
  return readProfile(PROFILE, path, "lema probe");
}

/** A device's, where one has been measured. */
export const findDeviceProfile = (path: string): Finding[] =>
  existsSync(path) ? [readProfile("device profile", path, "lema probe --backend cuda")] : [];

function readProfile(name: string, path: string, probe: string): Finding {
  const { profile, diagnostics } = parseHardware(readFileSync(path, "utf8"), { file: path });
  if (profile === undefined || exitCodeOf(diagnostics) !== 0) {
    return {
      name,
      status: "problem",
      summary: `${path} is not sound: ${diagnostics[0]?.summary}`,
      hint: `measure again: \`${probe}\``,
      facts: { path, valid: false },
    };
  }
  return { name, status: "ok", summary: `${path}: ${profile.source}`, facts: { path, valid: true } };
}
