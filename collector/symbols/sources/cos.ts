import { below } from '../remote/address.ts';
import type { KernelIdentity } from '../symbols.ts';
import { defaultSettings, isBuildId, type SearchSettings, searchCandidates } from './candidates.ts';
import { nothing, type SymbolSource } from './source.ts';

/** Where Google publishes the debug files of Container-Optimized OS, by BUILD_ID. */
export const cosToolsUrl = 'https://storage.googleapis.com/cos-tools';

/**
 * Where the vmlinux of a COS build may be, most likely first; none when BUILD_ID is not three numbers with dots. Newer builds have a folder for
 * each board (lakitu is the one for x86-64).
 */
export function cosCandidates(base: URL, kernel: Pick<KernelIdentity, 'architecture' | 'cosBuildId'>): readonly URL[] {
  const build = kernel.cosBuildId;
  if (!/^\d+\.\d+\.\d+$/.test(build) || build.length > 40) return [];
  const old = below(base, build, 'vmlinux');
  if (kernel.architecture === 'aarch64') return [below(base, build, 'lakitu-arm64', 'vmlinux'), old];
  return [old, below(base, build, 'lakitu', 'vmlinux')];
}

/** The debug files of Container-Optimized OS, from Google or from a mirror with the same layout. */
export function createCosSource(base = new URL(cosToolsUrl), settings: SearchSettings = defaultSettings): SymbolSource {
  return {
    async seek(kernel, search) {
      const { buildId, cosBuildId } = kernel;
      if (cosBuildId === '') return nothing('the node does not run Container-Optimized OS (it tells no BUILD_ID)');
      if (!isBuildId(buildId)) return nothing('the kernel has no build-id that a file could be checked against');
      const candidates = cosCandidates(base, kernel).map((url) => ({ kind: 'elf', url }) as const);
      if (candidates.length === 0)
        return nothing("the node's BUILD_ID has not the form of one of Container-Optimized OS");
      return await searchCandidates({ source: 'cos', candidates, buildId, settings }, search);
    },
  };
}
