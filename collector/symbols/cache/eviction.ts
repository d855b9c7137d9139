import { type CacheEntry, isTold, type KeptSymbols } from './entry.ts';

/** Entries in all: each is listed, and offered under its banner. */
const mostEntries = 2_000;
/** Entries that are a node's word, of one source: a node runs one kernel at a time, and a file is of one. */
const mostOfSource = 16;

/**
 * Returns the entries that go for the limits of bytes and number to be kept, except those that stay: the least recently
 * used first. A node's word goes before the rest: it can be had again, and a hostile node that sends ever new ones must
 * not drive out better ones.
 */
export function surplus(
  kept: readonly KeptSymbols[],
  limitBytes: number,
  stays: (entry: CacheEntry) => boolean,
): readonly CacheEntry[] {
  const sharers = new Map<string, number>();
  let bytes = 0;
  for (const { entry } of kept) {
    const others = sharers.get(entry.sha256) ?? 0;
    sharers.set(entry.sha256, others + 1);
    if (others === 0) bytes += entry.sizeBytes;
  }
  const rank = ({ entry }: KeptSymbols): number => (isTold(entry) ? 0 : 1);
  const candidates = kept.filter(({ entry }) => !stays(entry));
  const gone: CacheEntry[] = [];
  for (const { entry } of candidates.toSorted((a, b) => rank(a) - rank(b) || a.usedMs - b.usedMs)) {
    if (bytes <= limitBytes && kept.length - gone.length <= mostEntries) break;
    gone.push(entry);
    const others = (sharers.get(entry.sha256) ?? 0) - 1;
    sharers.set(entry.sha256, others);
    if (others === 0) bytes -= entry.sizeBytes;
  }
  return gone;
}

/**
 * Returns the entries that go because the source of the newest has too many that are a node's word, except those that
 * stay: the least recently used.
 */
export function crowd(
  kept: readonly KeptSymbols[],
  newest: CacheEntry,
  stays: (entry: CacheEntry) => boolean,
): readonly CacheEntry[] {
  const same = kept.filter(({ entry }) => isTold(entry) && entry.source === newest.source);
  if (!isTold(newest) || same.length <= mostOfSource) return [];
  return same
    .filter(({ entry }) => !stays(entry))
    .toSorted((a, b) => a.usedMs - b.usedMs)
    .slice(0, same.length - mostOfSource)
    .map(({ entry }) => entry);
}
