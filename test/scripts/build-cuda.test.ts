/** What `npm run build:cuda` reads from the compiler. */
import { expect, it } from "vitest";
import { resourcesOf, resourceTable } from "../../scripts/build-cuda.ts";

it("reads registers, spills and shared memory of each kernel for each architecture", () => {
  const log = [
    "[1/2] Building CUDA object all_kernels.cu.o",
    "ptxas info    : 0 bytes gmem",
    "ptxas info    : Compiling entry function '_Z3Addv' for 'sm_80'",
    "ptxas info    : Function properties for _Z3Addv",
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
    "ptxas info    : Used 25 registers, used 0 barriers, 384 bytes cmem[0]",
    "ptxas info    : Compile time = 34.284 ms",
    "ptxas info    : Compiling entry function '_Z7Productv' for 'sm_90'",
    "ptxas info    : Function properties for _Z7Productv",
    "    48 bytes stack frame, 24 bytes spill stores, 40 bytes spill loads",
    "ptxas info    : Used 255 registers, used 1 barriers, 16896 bytes smem, 496 bytes cmem[0]",
  ].join("\n");
  expect(resourcesOf(log)).toEqual([
    { kernel: "_Z3Addv", architecture: "sm_80", registers: 25, spilledBytes: 0, sharedBytes: 0 },
    { kernel: "_Z7Productv", architecture: "sm_90", registers: 255, spilledBytes: 64, sharedBytes: 16896 },
  ]);
});

it("prints a line a kernel and a column an architecture, oldest first", () => {
  const of = (kernel: string, architecture: string, registers: number, spilledBytes: number) => ({
    kernel,
    architecture,
    registers,
    spilledBytes,
    sharedBytes: 0,
  });
  const resources = [of("Product", "sm_100", 255, 64), of("Add", "sm_90", 25, 0), of("Add", "sm_100", 24, 0)];
  expect(resourceTable(resources)).toEqual([
    "registers +spilled  sm_90     sm_100",
    "Add                    25         24",
    "Product                    255 +64 B",
  ]);
});
