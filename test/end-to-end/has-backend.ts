/** Whether a device, or the emulated one, is here to compute on. */
import { nativeDevice } from "../../runtime/addon.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";

export function hasBackend(backend: "cuda" | "cuda-emulated"): boolean {
  try {
    nativeDevice(backend);
    return true;
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics[0]?.code === "run.no-device") return false;
    throw error;
  }
}
