/** A hardware profile as a YAML file that people read: rates with units, one timed call a line. */
import { Document, isSeq, type Node } from "yaml";
import { invariant } from "../../schemas/diagnostic.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";

const MEBIBYTE = 2 ** 20;
const DIGITS = 4;

/** Text that `parseHardware` reads back, rates rounded to four digits. `note` is its first line, a comment. */
export function profileText(profile: HardwareProfile, note: string): string {
  const { compute, disk, links, host, memory, reserve } = profile;
  const { kind, threads, matrix_rate, memory_bandwidth, submission, calls } = compute;
  const document = new Document({
    name: profile.name,
    source: profile.source,
    compute: {
      kind,
      threads: threads ?? undefined,
      matrix_rate: mapped(matrix_rate, flops),
      memory_bandwidth: byteRate(memory_bandwidth),
      submission,
      calls,
    },
    disk: { ...disk, bandwidth: byteRate(disk.bandwidth) },
    links: links && {
      ...links,
      h2d_bandwidth: byteRate(links.h2d_bandwidth),
      d2h_bandwidth: byteRate(links.d2h_bandwidth),
    },
    host: host && { ...host, memory_bandwidth: byteRate(host.memory_bandwidth) },
    memory: mapped(memory, size),
    reserve: mapped(reserve, size),
  });
  document.commentBefore = ` ${note}`;
  for (const where of ["compute", "host"]) {
    const list = document.getIn([where, "calls"]);
    if (!isSeq<Node & { flow?: boolean }>(list)) continue;
    for (const call of list.items) call.flow = true;
  }
  const text = document.toString({ lineWidth: 0 });
  const { diagnostics } = parseHardware(text, { file: "profile" });
  invariant(diagnostics.length === 0, `a written profile is refused: ${diagnostics[0]?.summary}`);
  return text;
}

const flops = (rate: number): string => withPrefix(rate, "FLOP/s");
const byteRate = (rate: number): string => withPrefix(rate, "B/s");
const size = (bytes: number): number | string =>
  bytes % MEBIBYTE === 0 && bytes > 0 ? `${bytes / MEBIBYTE} MiB` : bytes;

function withPrefix(rate: number, unit: string): string {
  const [factor, prefix] = rate >= 1e12 ? [1e12, "T"] : rate >= 1e9 ? [1e9, "G"] : [1e6, "M"];
  return `${Number((rate / factor).toPrecision(DIGITS))} ${prefix}${unit}`;
}

/** The same keys; those without a value stay away. */
function mapped<Value>(
  record: Readonly<Record<string, number | null | undefined>>,
  map: (value: number) => Value,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) =>
      value === undefined || value === null ? [] : [[key, map(value)]],
    ),
  );
}
