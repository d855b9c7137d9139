import { below } from '../remote/address.ts';
import { type Candidate, defaultSettings, isBuildId, type SearchSettings, searchCandidates } from './candidates.ts';
import { nothing, type SymbolSource } from './source.ts';

/**
 * Where a bucket of the user's own may have a kernel's file, in this order: `<id>.json.xz`, `<id>.json.gz`, `<id>.json`, `<id>.debug`,
 * `<id>/vmlinux`, and as under /usr/lib/debug `.build-id/<first two digits>/<other digits>.debug`; none when it is no build-id.
 */
export function bucketCandidates(base: URL, buildId: string): readonly Candidate[] {
  if (!isBuildId(buildId)) return [];
  const isfs = ['.json.xz', '.json.gz', '.json'].map((suffix) => [`${buildId}${suffix}`]);
  const elfs = [
    [`${buildId}.debug`],
    [buildId, 'vmlinux'],
    ['.build-id', buildId.slice(0, 2), `${buildId.slice(2)}.debug`],
  ];
  return [
    ...isfs.map((path) => ({ kind: 'isf', url: below(base, ...path) }) as const),
    ...elfs.map((path) => ({ kind: 'elf', url: below(base, ...path) }) as const),
  ];
}

/** Buckets, or any other web servers, with symbols by build-id, asked in their order. */
export function createBucketSource(bases: readonly URL[], settings: SearchSettings = defaultSettings): SymbolSource {
  return {
    async seek({ buildId }, search) {
      if (!isBuildId(buildId)) return nothing('the kernel has no build-id that a file could be named by');
      const candidates = bases.flatMap((base) => bucketCandidates(base, buildId));
      return await searchCandidates({ source: 'bucket', candidates, buildId, settings }, search);
    },
  };
}
