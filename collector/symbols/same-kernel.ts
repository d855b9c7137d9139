// Why it is done this way: docs/decisions/013-what-a-node-tells.md

import { isBuildId } from './cache/entry.ts';

const printable = /^[ -~]*$/;
/** Up to the version, which begins with "#"; the first one decides, so that no banner takes long to read. */
const procVersionForm = /^Linux version [!-~]+ \([ -~]*?\) #[!-~]/;
/** Ubuntu's CONFIG_VERSION_SIGNATURE, which its init/version.c adds to linux_banner and not to /proc/version. */
const oneGroup = /^ \([ -'*-~]{1,128}\)$/;

/** A kernel's build-id, empty when it is not known, and its banner without its line end. */
export interface KernelNames {
  readonly buildId: string;
  readonly banner: string;
}

/**
 * True when a linux_banner and a node's /proc/version are of one kernel: they are equal, or the former has one more
 * group in parentheses at its end. Both are without line end; an empty one is of no kernel.
 * collector/analysis/volatility/banner.py is the same rule for images.
 */
export function isBannerOf(linuxBanner: string, procVersion: string): boolean {
  if (linuxBanner === procVersion) return procVersion !== '';
  if (!linuxBanner.startsWith(procVersion) || !printable.test(procVersion)) return false;
  if (!procVersionForm.test(procVersion)) return false;
  return oneGroup.test(linuxBanner.slice(procVersion.length));
}

/** The release in a banner; undefined when it is no kernel's. */
export function releaseOf(banner: string): string | undefined {
  return /^Linux version (\S+)/.exec(banner)?.[1];
}

/**
 * True when symbols are of the kernel that a node tells of. A build-id that differs makes it another kernel, whatever
 * the banners; an equal one, which the node only claims, never makes up for a banner that contradicts.
 */
export function isSameKernel(symbols: KernelNames, told: KernelNames): boolean {
  const differs = isBuildId(symbols.buildId) && isBuildId(told.buildId) && symbols.buildId !== told.buildId;
  return !differs && isBannerOf(symbols.banner, told.banner);
}
