import { createHash } from 'node:crypto';
import type { KernelIdentity, SymbolsQuality } from '../symbols.ts';

/** What is known of kept symbols; lies as `kernels/<key>.json`. */
export interface CacheEntry {
  readonly key: string;
  readonly buildId: string;
  /** The text of linux_banner in the ISF. */
  readonly banner: string;
  /** True when the banner is a node's /proc/version: what the ISF was built from has no linux_banner of its own. */
  readonly bannerTold?: boolean;
  /** linux_banner of images that were read with the ISF; the latest first, at most 4. */
  readonly imageBanners?: readonly string[];
  /** As the banner has it: what nodes tell beside theirs is not in here, since others share it. */
  readonly release: string;
  readonly architecture: string;
  /** Lower-case hex of the ISF, which is also its name. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly quality: SymbolsQuality;
  /** Revision of the builder that made it; of no meaning for one that was provided. */
  readonly builderRevision: number;
  /** What it was built from and by what, for people. */
  readonly source: string;
  /** The local file that it was taken from, with its stamp; empty for all else. A changed file is taken anew. */
  readonly origin: string;
  /** ISO 8601, UTC. */
  readonly builtAt: string;
  readonly pinned: boolean;
  /** What the ISF does not know. */
  readonly remarks: readonly string[];
}

/** Symbols that are kept, with the moment when somebody last used them. */
export interface KeptSymbols {
  readonly entry: CacheEntry;
  /** Milliseconds since 1970. */
  readonly usedMs: number;
}

const hexDigest = /^[0-9a-f]{64}$/;

/** Name of a kernel's symbols. Never more of a node's text than hex digits. */
export function kernelKey(kernel: Pick<KernelIdentity, 'buildId' | 'banner'>): string {
  return isBuildId(kernel.buildId) ? kernel.buildId : bannerKey(kernel.banner);
}

/** Name of symbols of which only the banner is known. */
export function bannerKey(banner: string): string {
  return `banner-${createHash('sha256').update(banner).digest('hex').slice(0, 32)}`;
}

/**
 * Name of symbols built from a kernel's ELF file that holds no text of linux_banner: they have the node's in its place,
 * and serve only nodes that tell the same.
 */
export function toldKey(kernel: Pick<KernelIdentity, 'buildId' | 'banner'>): string {
  return `${kernelKey(kernel)}-${createHash('sha256').update(kernel.banner).digest('hex').slice(0, 15)}`;
}

/**
 * Name of symbols built from what nodes sent; undefined when they would send none. It holds the digest of what was sent, so that what one node
 * sends is never used for another that would send something else.
 */
export function nodeKey(kernel: KernelIdentity): string | undefined {
  const digest = kernel.typesDigest ?? '';
  // The ISF holds the node's banner as well, which the digest does not cover.
  const banner = createHash('sha256').update(kernel.banner).digest('hex').slice(0, 16);
  return hexDigest.test(digest) ? `${kernelKey(kernel)}.node-${digest.slice(0, 32)}-${banner}` : undefined;
}

/** The banner in images of an ISF's kernel; the ISF's own while none is known, or if they contradict each other. */
export function bannerInImages({ banner, imageBanners = [] }: CacheEntry): string {
  return imageBanners.length === 1 ? (imageBanners[0] ?? banner) : banner;
}

/** True for symbols whose banner, or all of them, is a node's word. */
export function isTold({ quality, bannerTold }: CacheEntry): boolean {
  return quality === 'btf' || bannerTold === true;
}

/** True for symbols that were found by the banner in them, with no build-id to go by. */
export function isBannerKey(key: string): boolean {
  return /^banner-[0-9a-f]{32}$/.test(key);
}

/** True for a GNU build-id as lower-case hex. */
export function isBuildId(text: string): boolean {
  return /^[0-9a-f]{8,64}$/.test(text);
}

/** Whether a text may be a key: all that may become part of a path. */
export function isKey(text: string): boolean {
  return /^[0-9a-z-]{8,80}(\.node-[0-9a-f]{32}-[0-9a-f]{16})?$/.test(text);
}

/** The entry in a file's text; undefined when it is none of ours. */
export function parseEntry(text: string): CacheEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const entry = value as Record<keyof CacheEntry, unknown>;
  const texts = [
    entry.key,
    entry.buildId,
    entry.banner,
    entry.release,
    entry.architecture,
    entry.sha256,
    entry.source,
    entry.origin,
    entry.builtAt,
  ];
  const sound =
    texts.every((each) => typeof each === 'string') &&
    isKey(String(entry.key)) &&
    hexDigest.test(String(entry.sha256)) &&
    Number.isSafeInteger(entry.sizeBytes) &&
    Number.isSafeInteger(entry.builderRevision) &&
    ['dwarf', 'btf', 'provided'].includes(String(entry.quality)) &&
    typeof entry.pinned === 'boolean' &&
    ['undefined', 'boolean'].includes(typeof entry.bannerTold) &&
    (entry.imageBanners === undefined || areTexts(entry.imageBanners)) &&
    areTexts(entry.remarks);
  return sound ? (value as CacheEntry) : undefined;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
