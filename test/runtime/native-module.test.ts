import { expect, it, vi } from "vitest";
import { DiagnosticError } from "../../schemas/diagnostic.ts";

vi.mock("node:fs", async (original) => ({
  ...(await original<typeof import("node:fs")>()),
  existsSync: () => false,
}));

it("says how to build the native module where it is missing", async () => {
  const { loadModule } = await import("../../runtime/native-module.ts");
  const failure = (() => {
    try {
      return loadModule();
    } catch (error) {
      return error;
    }
  })();
  expect(failure).toBeInstanceOf(DiagnosticError);
  const [problem] = (failure as DiagnosticError).diagnostics;
  expect(problem).toMatchObject({ code: "run.no-addon", hint: expect.stringContaining("npm run setup") });
});
