import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { keepLoopbackFromProxies } from '../../config.ts';
import { spokenByCollector } from '../../failure.ts';
import { openForwarded } from '../connection.ts';
import type { ClusterTarget, Connection } from '../target.ts';
import { apiOf } from './api.ts';
import { authorised } from './authorized.ts';
import { bearerOf, signIn } from './bearer.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { listenLocally } from './port-forward.ts';
import { findRelease, readyPod, trustBundle } from './release.ts';
import { openTunnel } from './tunnel.ts';

/** Finds the collector of a cluster and forwards a port of its pod, as whoever the kubeconfig says. */
export async function openClusterConnection(way: ClusterTarget, interrupt: AbortSignal): Promise<Connection> {
  const kubeconfig = loadKubeconfig(way);
  const api = apiOf(kubeconfig, interrupt);
  await signIn(kubeconfig);
  const release = await findRelease(api, way);
  const bearer = bearerOf(way.credential, kubeconfig, api);
  await bearer.renew();
  const ca = await trustBundle(api, release);
  // The pod is looked for anew each time: a collector that was restarted elsewhere is found again.
  const local = await listenLocally(async () => openTunnel(kubeconfig, api, release, await readyPod(api, release)));
  keepLoopbackFromProxies();
  const place = `${release.service}.${release.namespace}.svc`;
  const client = openForwarded(`127.0.0.1:${local.port}`, ca, place);
  const headers = () => ({ authorization: `Bearer ${bearer.token}` });
  return {
    place: `${place} (context ${api.server.context})`,
    calls: (service) => authorised(service, connect(service, client, { headers }), bearer),
    explained: (fault) => explained(fault, place, local.problem),
    close: () => {
      client.close();
      local[Symbol.dispose]();
    },
  };
}

/** A call that did not get through says nothing of the way through the API server. */
function explained(fault: Fault, place: string, problem: Fault | undefined): Fault {
  if (fault.code !== 'unavailable' || spokenByCollector(fault)) return fault;
  if (problem !== undefined) return new Fault(problem.code, problem.message, { cause: problem });
  if (!/ECONNRESET|hang up|closed before|dropped|Failed to connect|disconnected before/i.test(fault.message))
    return fault;
  return new Fault(
    'unavailable',
    `the connection to the collector ${place}, forwarded through the API server, broke. It may have restarted: try again; \`kcorder doctor\` tells more.`,
    { cause: new Error(fault.message) },
  );
}
