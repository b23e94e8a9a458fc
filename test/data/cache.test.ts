import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { cacheFile, readCache, writeCache } from "../../data/cache.ts";
import { type Samples, SamplesBuilder } from "../../data/samples.ts";
import { temporaryDirectory } from "./byte-tokenizer.ts";

const HEX = "ab".repeat(32);
const DIGEST = `sha256:${HEX}`;

function someSamples(): Samples {
  const builder = new SamplesBuilder();
  builder.add({ ids: [1, 2, 3], labels: [-100, 2, 3], mergedBoundary: true }, 1);
  builder.add({ ids: [], labels: [], mergedBoundary: false }, 4);
  builder.add({ ids: [2 ** 31 - 1], labels: [-100], mergedBoundary: false }, 5);
  return builder.build();
}

describe("the token cache", () => {
  it("gives back what was written, and leaves no other file", async () => {
    const directory = `${await temporaryDirectory()}/a/b`;
    expect(await readCache(directory, DIGEST)).toEqual({ kind: "miss" });
    await writeCache(directory, DIGEST, someSamples());
    expect(await readCache(directory, DIGEST)).toEqual({ kind: "hit", samples: someSamples() });
    expect(await readdir(directory)).toEqual([`${HEX}.tokens`]);
  });

  it("notices any damaged byte", async () => {
    const directory = await temporaryDirectory();
    await writeCache(directory, DIGEST, someSamples());
    const file = cacheFile(directory, DIGEST);
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x40;
      await writeFile(file, damaged);
      expect(await readCache(directory, DIGEST), `byte ${at}`).toMatchObject({ kind: "damaged", file });
    }
  });

  it("notices a file that was cut or has grown", async () => {
    const directory = await temporaryDirectory();
    await writeCache(directory, DIGEST, someSamples());
    const file = cacheFile(directory, DIGEST);
    const whole = await readFile(file);
    await writeFile(file, Buffer.concat([whole, Buffer.of(0)]));
    expect((await readCache(directory, DIGEST)).kind).toBe("damaged");
    await writeFile(file, whole);
    for (const size of [whole.length - 1, 40, 9, 0]) {
      await truncate(file, size);
      expect((await readCache(directory, DIGEST)).kind).toBe("damaged");
    }
  });
});
