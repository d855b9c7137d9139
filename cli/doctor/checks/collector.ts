import { Fault } from '@kcorder/proto/fault.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { Api } from '../../connect/cluster/api.ts';
import { openClusterConnection } from '../../connect/cluster/open.ts';
import { collectorPods, type Release, readyPod, trustBundle } from '../../connect/cluster/release.ts';
import type { ClusterTarget } from '../../connect/target.ts';
import { failureOf } from '../../failure.ts';
import { type Finding, someOf } from './check.ts';

/** Whether the collector's pod is ready. */
export async function checkPod(api: Api, release: Release): Promise<Finding> {
  return { state: 'ok', detail: `pod ${await readyPod(api, release)} is ready` };
}

/** Whether the authorities of the collector's certificate are there. */
export async function checkTrust(api: Api, release: Release): Promise<Finding> {
  const bundle = String(await trustBundle(api, release));
  const count = bundle.split('BEGIN CERTIFICATE').length - 1;
  return {
    state: 'ok',
    detail: `ConfigMap ${release.fullname}-trust holds ${count} certificate${count === 1 ? '' : 's'}`,
  };
}

/** Whether the evidence lies on a volume that is bound. */
export async function checkStorage(api: Api, release: Release): Promise<Finding> {
  const { namespace } = release;
  const claims = await claimsOf(api, release);
  if (claims.length === 0) {
    return {
      state: 'warn',
      detail: 'the collector has no PersistentVolumeClaim: evidence and journal end with its pod',
      todo: 'give it one, unless this cluster is for trying things out',
    };
  }
  const loose = claims.filter(({ status }) => status?.phase !== 'Bound');
  const texts = (loose.length > 0 ? loose : claims).map(claimText);
  if (loose.length === 0) return { state: 'ok', detail: someOf(texts) };
  return {
    state: 'fail',
    detail: someOf(texts),
    todo: `kubectl -n ${namespace} describe pvc ${loose[0]?.metadata?.name ?? ''}`,
  };
}

function claimText({ metadata, spec, status }: V1PersistentVolumeClaim): string {
  const size = status?.capacity?.storage ?? spec?.resources?.requests?.storage ?? '';
  const phase = (status?.phase ?? 'unknown').toLowerCase();
  return `PersistentVolumeClaim ${metadata?.name ?? ''} is ${phase}${size === '' ? '' : ` (${size})`}`;
}

/** Those of its pods; without a pod, those that carry its name. */
async function claimsOf(api: Api, release: Release): Promise<V1PersistentVolumeClaim[]> {
  const { namespace, fullname } = release;
  const pods = await collectorPods(api, release);
  const names = new Set(
    pods.flatMap(({ spec }) => spec?.volumes ?? []).flatMap((volume) => volume.persistentVolumeClaim?.claimName ?? []),
  );
  if (pods.length > 0 && names.size === 0) return [];
  const { items } = await api.ask({ verb: 'list', resource: 'persistentvolumeclaims', namespace }, (options) =>
    api.core.listNamespacedPersistentVolumeClaim({ namespace }, options),
  );
  const ofCollector = (name: string): boolean =>
    names.size > 0 ? names.has(name) : name.includes(`${fullname}-collector`);
  return items.filter(({ metadata }) => ofCollector(metadata?.name ?? ''));
}

/** Whether the collector answers the caller, all the way. */
export async function checkAnswer(way: ClusterTarget, interrupt: AbortSignal): Promise<Finding> {
  const reach = await openClusterConnection(way, interrupt);
  try {
    const { version } = await reach.calls(OperatorService).getVersion({}, { signal: interrupt });
    return { state: 'ok', detail: `${reach.place} answers: version ${version}` };
  } catch (error) {
    const fault = reach.explained(Fault.from(error));
    return { state: 'fail', detail: failureOf(fault, reach.place).sentence };
  } finally {
    reach.close();
  }
}
