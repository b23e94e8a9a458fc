/** Directories of the user, as the XDG Base Directory specification names them. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { CliIo } from "./io.ts";

/** Where digests and tokens are kept between commands. */
export function cacheDirectory(env: CliIo["env"]): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "lema");
}
