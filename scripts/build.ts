/**
 * dist/: the command line and the library, each with what it needs of our modules and of packages in a few files.
 * Node opens, resolves and links modules one by one, which took longer for the hundreds of them than most commands work.
 * Types stand beside, one file a source, by TypeScript.
 *
 *   npm run build:ts
 */
import { execFileSync } from "node:child_process";
import { renameSync, rmSync } from "node:fs";
import { build, type Plugin } from "esbuild";

/** Made beside, so that what stands in dist/ serves until all of it can be replaced. */
const OUT = "build/dist";

/** zod brings its messages in fifty languages, a seventh of everything; lema's own are in one. */
const englishOnly: Plugin = {
  name: "english-only",
  setup: ({ onLoad }) =>
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    })),
};

rmSync(OUT, { recursive: true, force: true });
execFileSync("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", OUT], { stdio: "inherit" });
await build({
  entryPoints: ["index.ts", "cli/main.ts"],
  outdir: OUT,
  outbase: ".",
  bundle: true,
  // Commands are loaded when they are asked for, and share what they have in common.
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // Names stay, so that stacks can be read; a notebook carries all of this in less than a megabyte (kaggle/).
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  plugins: [englishOnly],
  legalComments: "linked",
  logLevel: "warning",
  // Packages in CommonJS ask for Node's own modules at run time.
  banner: {
    js: 'import { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);',
  },
});
rmSync("dist", { recursive: true, force: true });
renameSync(OUT, "dist");
