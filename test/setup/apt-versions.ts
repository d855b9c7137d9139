/** One build of Debian's cloud kernel. */
export interface KernelVersion {
  /** As in `uname -r`, such as `6.1.0-56-cloud-amd64`. */
  release: string;
  /** The package version, such as `6.1.192-2`. */
  packageVersion: string;
}

/**
 * The kernels of a series in what `apt-cache madison` printed, newest first: only those that have both the image and, in the
 * same version, its `-dbg`. `series` is the beginning of a release up to a dot: `6.1` does not match `6.12`.
 */
export function kernelVersions(madison: string, series: string): KernelVersion[] {
  const rows = new Set<string>();
  for (const line of madison.split('\n')) {
    const [name, version] = line.split('|').map((cell) => cell.trim());
    if (name && version) rows.add(`${name} ${version}`);
  }
  const found: KernelVersion[] = [];
  for (const row of rows) {
    const [name = '', packageVersion = ''] = row.split(' ');
    const release = /^linux-image-(\d.*-cloud-amd64)$/.exec(name)?.[1];
    if (!release?.startsWith(`${series}.`)) continue;
    if (rows.has(`${name}-dbg ${packageVersion}`)) found.push({ release, packageVersion });
  }
  return found.sort((a, b) => compareReleases(b.release, a.release));
}

/** The preferred one if it is still offered, else the newest; undefined when the series has none. */
export function chooseKernel(
  offered: KernelVersion[],
  preferredRelease: string | undefined,
): KernelVersion | undefined {
  return offered.find((kernel) => kernel.release === preferredRelease) ?? offered[0];
}

/** Orders releases by their numbers: `6.1.0-9` comes before `6.1.0-56`. */
export function compareReleases(a: string, b: string): number {
  const left = a.match(/\d+/g) ?? [];
  const right = b.match(/\d+/g) ?? [];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = Number(left[i] ?? -1) - Number(right[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
