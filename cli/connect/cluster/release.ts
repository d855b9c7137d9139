import { Fault } from '@kcorder/proto/fault.ts';
import type { V1Pod, V1Service } from '@kubernetes/client-node';
import type { ClusterTarget } from '../target.ts';
import type { Api } from './api.ts';
import { podState } from './pod-state.ts';

/** An installation of kcorder in a namespace. */
export interface Release {
  /** What its objects' names begin with. */
  readonly fullname: string;
  readonly namespace: string;
  readonly service: string;
  /** Labels of its collector's pod. */
  readonly podLabels: string;
}

const collectorLabels = 'app.kubernetes.io/name=kcorder,app.kubernetes.io/component=collector';
const suffix = '-collector';

/** The Role that lets a person get to the collector. */
export function connectRole(fullname: string): string {
  return `${fullname}-connect`;
}

/** Finds the only release of a namespace, or the one that is wanted. */
export async function findRelease(api: Api, { namespace, release }: ClusterTarget): Promise<Release> {
  const labelSelector =
    release === undefined ? collectorLabels : `${collectorLabels},app.kubernetes.io/instance=${release}`;
  const asked = { verb: 'list', resource: 'services', namespace, role: connectRole(release ?? 'kcorder') };
  const { items } = await api.ask(asked, (options) =>
    api.core.listNamespacedService({ namespace, labelSelector }, options),
  );
  // A headless twin for a StatefulSet carries the same labels under another name.
  const services = items.filter(({ metadata }) => metadata?.name?.endsWith(suffix) === true);
  const [service, ...others] = services;
  if (service === undefined) throw nothing(api, namespace, release);
  if (others.length > 0) {
    throw new Fault(
      'invalid_argument',
      `namespace ${namespace} holds ${services.length} releases of kcorder: ${services.map(instanceOf).join(', ')}. Choose one with --release.`,
    );
  }
  const name = service.metadata?.name ?? '';
  return {
    fullname: name.slice(0, -suffix.length),
    namespace,
    service: name,
    podLabels: Object.entries(service.spec?.selector ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  };
}

function nothing(api: Api, namespace: string, release: string | undefined): Fault {
  const what = release === undefined ? 'kcorder' : `release ${release} of kcorder`;
  return new Fault(
    'unavailable',
    `there is no ${what} in namespace ${namespace} of context ${api.server.context}: no Service with the labels ${collectorLabels}. Name its namespace with -n or KCORDER_NAMESPACE; \`kubectl get services -A -l app.kubernetes.io/name=kcorder\` shows it.`,
  );
}

function instanceOf({ metadata }: V1Service): string {
  return metadata?.labels?.['app.kubernetes.io/instance'] ?? metadata?.name ?? '';
}

/** The collector's pods, in no order. */
export async function collectorPods(api: Api, { namespace, podLabels, fullname }: Release): Promise<V1Pod[]> {
  const asked = { verb: 'list', resource: 'pods', namespace, role: connectRole(fullname) };
  const { items } = await api.ask(asked, (options) =>
    api.core.listNamespacedPod({ namespace, labelSelector: podLabels }, options),
  );
  return items;
}

/** Name of the collector's pod that is ready. */
export async function readyPod(api: Api, release: Release): Promise<string> {
  const pods = await collectorPods(api, release);
  const ready = pods.find((pod) => podState(pod).ready);
  if (ready?.metadata?.name !== undefined) return ready.metadata.name;
  const { namespace, podLabels, fullname } = release;
  const states = pods.map((pod) => `${pod.metadata?.name ?? ''} is ${podState(pod).text}`).join(', ');
  const what = states === '' ? `has no pod (labels ${podLabels})` : `is not ready: ${states}`;
  throw new Fault(
    'unavailable',
    `the collector ${fullname} in namespace ${namespace} ${what}. \`kcorder doctor -n ${namespace}\` tells more, and so does \`kubectl -n ${namespace} describe pods -l ${podLabels}\`.`,
  );
}

/** The authorities that the collector's certificate may come from, as PEM. */
export async function trustBundle(api: Api, { namespace, fullname }: Release): Promise<Buffer> {
  const name = `${fullname}-trust`;
  const asked = { verb: 'get', resource: `configmaps/${name}`, namespace, role: connectRole(fullname) };
  const map = await api.find(asked, (options) => api.core.readNamespacedConfigMap({ name, namespace }, options));
  const bundle = map?.data?.['ca.crt'] ?? '';
  if (bundle.includes('BEGIN CERTIFICATE')) return Buffer.from(bundle);
  throw new Fault(
    'unavailable',
    `the ConfigMap ${name} in namespace ${namespace} ${map === undefined ? 'is missing' : 'has no certificate in ca.crt'}: without it no certificate of the collector can be checked. The collector writes it when it starts: see \`kubectl -n ${namespace} logs -l app.kubernetes.io/component=collector\`.`,
  );
}
