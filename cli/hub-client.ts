/** The Hub as the environment names it: HF_ENDPOINT, and HF_TOKEN where a model is private or is to be written. */
import { InvalidArgumentError } from "commander";
import { createClient, DEFAULT_ENDPOINT, type HubClient } from "../hub/client.ts";
import { formatBytes } from "../schemas/units.ts";
import type { CommandContext } from "./context.ts";

/** Throws `hub.bad-endpoint`. */
export function hubClient({ io, version }: CommandContext): HubClient {
  const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = io.env;
  return createClient(endpoint || DEFAULT_ENDPOINT, {
    token: token?.trim() || null,
    userAgent: `lema/${version}`,
  });
}

/** The name of a repository. */
export function repoId(text: string): string {
  if (!/^[\w.-]+\/[\w.-]+$/.test(text) || /(^|\/)\.{1,2}(\/|$)/.test(text)) {
    throw new InvalidArgumentError("Expected the name of a repository such as org/model.");
  }
  return text;
}

/** `model.safetensors  43 % of 2.00 GiB` */
export function formatTransfer(progress: {
  readonly file: string;
  readonly bytes: number;
  readonly total: number;
}): string {
  const { file, bytes, total } = progress;
  return `${file}  ${Math.floor((100 * bytes) / Math.max(1, total))} % of ${formatBytes(total)}`;
}
