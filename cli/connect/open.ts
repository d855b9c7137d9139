import { connect } from '@kcorder/proto/bridge/connect.ts';
import { openCollector } from './connection.ts';
import type { Connection, Target } from './target.ts';

/** Opens the way to a collector. What belongs to a cluster is loaded only where there is one. */
export async function openConnection(way: Target, interrupt: AbortSignal): Promise<Connection> {
  if (way.kind === 'cluster') {
    const { openClusterConnection: reachCluster } = await import('./cluster/open.ts');
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
