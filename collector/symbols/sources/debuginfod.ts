import { below } from '../remote/address.ts';
import { defaultTimeouts } from '../remote/timeouts.ts';
import { defaultSettings, isBuildId, type SearchSettings, searchCandidates } from './candidates.ts';
import { nothing, type SymbolSource } from './source.ts';

/** A server may have to unpack a package of a gigabyte before it answers; its own client waits 90 s too (debuginfod-find(1)). */
const debuginfodSettings: SearchSettings = {
  ...defaultSettings,
  timeouts: { ...defaultTimeouts, headersMs: 90_000 },
};

/** Where servers have the debug file of a build-id (debuginfod(8), "WEBAPI"), in the servers' order; none when it is no build-id. */
export function debuginfodCandidates(servers: readonly URL[], buildId: string): readonly URL[] {
  return isBuildId(buildId) ? servers.map((server) => below(server, 'buildid', buildId, 'debuginfo')) : [];
}

/** Debuginfod servers, asked in their order. */
export function createDebuginfodSource(
  servers: readonly URL[],
  settings: SearchSettings = debuginfodSettings,
): SymbolSource {
  return {
    async seek({ buildId }, search) {
      if (!isBuildId(buildId)) return nothing('the kernel has no build-id that could be asked for');
      const candidates = debuginfodCandidates(servers, buildId).map((url) => ({ kind: 'elf', url }) as const);
      return await searchCandidates({ source: 'debuginfod', candidates, buildId, settings }, search);
    },
  };
}
