/** The package.json files of a release: lema's own, and that of a platform's native module. */

export interface PackageManifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: unknown;
  readonly [key: string]: unknown;
}

/** As npm names them: `process.platform`-`process.arch`. */
export const PLATFORMS = ["linux-x64", "linux-arm64"] as const;
export type Platform = (typeof PLATFORMS)[number];

export const platformPackage = (platform: Platform): string => `@lema/${platform}`;

/** What `npm run build:native` needs; all other packages are inside dist/ (scripts/build.ts). */
export const BUILD_DEPENDENCIES = ["cmake-js", "node-addon-api", "node-api-headers"] as const;

/**
 * lema as it is published: with the native modules of the same version, of which npm installs the one that fits. They
 * stand not in the repository's package.json, because a lock file cannot pin what is published after it.
 */
export function releaseManifest(source: PackageManifest): PackageManifest {
  const { devDependencies: _, scripts, dependencies, ...rest } = source;
  const native = PLATFORMS.map((platform) => [platformPackage(platform), source.version]);
  return {
    ...rest,
    scripts: { "build:native": scripts!["build:native"]! },
    dependencies: Object.fromEntries(BUILD_DEPENDENCIES.map((name) => [name, dependencies![name]!])),
    optionalDependencies: Object.fromEntries(native),
  };
}

/** `glibc`: the oldest that the module runs with. */
export function platformManifest(
  source: PackageManifest,
  platform: Platform,
  glibc: string,
): PackageManifest {
  const [os, cpu] = platform.split("-");
  return {
    name: platformPackage(platform),
    version: source.version,
    description: `The native module of lema for ${os} on ${cpu}, with glibc ${glibc} or newer.`,
    license: source.license,
    engines: source.engines,
    os: [os],
    cpu: [cpu],
    libc: ["glibc"],
    main: "lema.node",
    files: ["lema.node"],
  };
}
