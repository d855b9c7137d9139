import { below } from './address.ts';
import { defaultSettings, type SearchSettings, searchCandidates } from './candidates.ts';
import { isBuildId, nothing, type RemoteSource } from './source.ts';
import { defaultTimeouts } from './timeouts.ts';

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
): RemoteSource {
  return {
    name: 'debuginfod',
    async find({ buildId }, scratchDir, onProgress, signal) {
      if (!isBuildId(buildId)) return nothing('the kernel has no build-id that could be asked for');
      const candidates = debuginfodCandidates(servers, buildId).map((url) => ({ kind: 'elf', url }) as const);
      return searchCandidates({ source: 'debuginfod', candidates, buildId, scratchDir, settings, onProgress }, signal);
    },
  };
}
