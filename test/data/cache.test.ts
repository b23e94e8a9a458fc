import { readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheFile, readCache, writeCache } from "../../data/cache.ts";
import { type Samples, SamplesBuilder } from "../../data/samples.ts";
import { codesOf, temporaryDirectory } from "./byte-tokenizer.ts";

const HEX = "ab".repeat(32);
const DIGEST = `sha256:${HEX}`;

function someSamples(): Samples {
  const builder = new SamplesBuilder();
  builder.add({ ids: [1, 2, 3], labels: [-100, 2, 3], mergedBoundary: true }, 1);
  builder.add({ ids: [], labels: [], mergedBoundary: false }, 4);
  builder.add({ ids: [2 ** 31 - 1], labels: [-100], mergedBoundary: false }, 5);
  return builder.build();
}

/** Everything in the samples, as values. */
function contentOf({ read, ...rest }: Samples): object {
  const each = Array.from(rest.lines, (_, i) => {
    const { tokens, labels } = read(i);
    return { tokens: [...tokens], labels: [...labels] };
  });
  return { ...rest, each };
}

describe("the token cache", () => {
  it("gives back what was written, and leaves no other file", async () => {
    const directory = `${await temporaryDirectory()}/a/b`;
    expect(await readCache(directory, DIGEST)).toEqual({ kind: "miss" });
    await writeCache(directory, DIGEST, someSamples());
    const found = await readCache(directory, DIGEST);
    expect(found.kind === "hit" && contentOf(found.samples)).toEqual(contentOf(someSamples()));
    expect(await readdir(directory)).toEqual([`${HEX}.samples`]);
  });

  it("clears away what a killed process began, and not what another is writing", async () => {
    const directory = await temporaryDirectory();
    const [abandoned, fresh] = ["a.samples.1.tmp", "b.samples.2.tmp"];
    for (const name of [abandoned, fresh]) await writeFile(join(directory, name), "half");
    const longAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
    await utimes(join(directory, abandoned), longAgo, longAgo);
    await writeCache(directory, DIGEST, someSamples());
    expect((await readdir(directory)).sort()).toEqual([basename(cacheFile(directory, DIGEST)), fresh].sort());
  });

  it("gives samples in any order, shorter and longer than what is read at once", async () => {
    const directory = await temporaryDirectory();
    const lengths = [0, 5, 20_000, 1, 7000, 7000, 7000, 0, 3, 9000];
    const builder = new SamplesBuilder();
    for (const [i, length] of lengths.entries()) {
      const ids = Array.from({ length }, (_, t) => 100_000 * i + t);
      builder.add({ ids, labels: ids.map((id) => -id), mergedBoundary: false }, i + 1);
    }
    const samples = builder.build();
    await writeCache(directory, DIGEST, samples);
    const found = await readCache(directory, DIGEST);
    for (const i of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 2, 0, 5, 4, 8, 7, 1, 6, 3]) {
      expect(found.kind === "hit" && found.samples.read(i), `sample ${i}`).toEqual(samples.read(i));
    }
  });

  it("that vanishes while samples are read from it is named", async () => {
    const directory = await temporaryDirectory();
    await writeCache(directory, DIGEST, someSamples());
    const found = await readCache(directory, DIGEST);
    await rm(cacheFile(directory, DIGEST));
    expect(await codesOf(() => found.kind === "hit" && found.samples.read(0))).toEqual(["data.unreadable"]);
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
