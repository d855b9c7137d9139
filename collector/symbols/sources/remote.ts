import type { RemoteSource } from '../remote/source.ts';
import type { SymbolSource } from './source.ts';

/** A source over the network as the search asks it. */
export function remoteSource(name: RemoteSource['name'], remote: RemoteSource | undefined): SymbolSource {
  return {
    name,
    configured: remote !== undefined,
    remote: true,
    async seek(kernel, { scratchPath, progress, signal }) {
      if (remote === undefined) return { kind: 'nothing', looked: [] };
      const found = await remote.find(kernel, scratchPath, progress, signal);
      return found.kind === 'isf' ? { ...found, origin: '' } : found;
    },
  };
}
