/** One build of Debian's cloud kernel. */
export interface KernelVersion {
  /** As in `uname -r`, such as `6.1.0-56-cloud-amd64`. */
  release: string;
  /** The package version, such as `6.1.192-2`. */
  packageVersion: string;
  /** Whether Debian offers a `-dbg` of the same version: its vmlinux with DWARF. */
  hasDebug: boolean;
}

/**
 * Returns the kernels of a series (`newest`: of all) in what `apt-cache madison` printed, newest first.
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
    if (release === undefined || (series !== 'newest' && !isOfSeries(release, series))) continue;
    found.push({ release, packageVersion, hasDebug: rows.has(`${name}-dbg ${packageVersion}`) });
  }
  return found.sort((a, b) => compareReleases(b.release, a.release));
}

/** Returns the preferred build if it is offered, else the newest that has its `-dbg`, else the newest; undefined if there is none. */
export function chooseKernel(
  offered: KernelVersion[],
  preferredRelease: string | undefined,
): KernelVersion | undefined {
  return (
    offered.find((kernel) => kernel.release === preferredRelease) ??
    offered.find((kernel) => kernel.hasDebug) ??
    offered[0]
  );
}

/** Whether a release is of a series: `6.1.0-56` is of 6.1 and not of 6.12. */
export function isOfSeries(release: string, series: string): boolean {
  return release.startsWith(`${series}.`);
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
