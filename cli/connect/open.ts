import { connect } from '@kcorder/proto/bridge/connect.ts';
import { openCollector } from './connection.ts';
import type { Reach, Way } from './target.ts';

/** Opens the way to a collector. What belongs to a cluster is loaded only where there is one. */
export async function openReach(way: Way, interrupt: AbortSignal): Promise<Reach> {
  if (way.kind === 'cluster') {
    const { reachCluster } = await import('./cluster/open.ts');
    return reachCluster(way, interrupt);
  }
  const client = openCollector(way.address, way.tlsDir);
  return {
    place: way.address,
    calls: (service) => connect(service, client),
    explained: (fault) => fault,
    close: () => client.close(),
  };
}
