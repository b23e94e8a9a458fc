/** How GitHub names a file of a checkout: slashes, and no `.` or `..` on the way; it shows nothing at any other name. */
import { posix } from "node:path";

export function checkoutPath(file: string): string {
  return posix.normalize(file.replaceAll("\\", "/"));
}
