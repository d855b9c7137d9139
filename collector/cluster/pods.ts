import { Fault } from '@kcorder/proto/fault.ts';
import type { V1Pod } from '@kubernetes/client-node';
import { ask, type Cluster, statusOf } from './client.ts';
import { type ListPage, readPages } from './pages.ts';
import { configHashOf } from './static-pods.ts';

/** A pod by its name. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** A pod on its node. */
export interface PlacedPod extends PodName {
  readonly uid: string;
  /** Uid that the node has for a static pod; `uid` is then the mirror pod's. */
  readonly configHash?: string;
  readonly nodeName: string;
}

const mostPods = 5_000;

/** Asks the API server one question, when it is its turn. */
export type Asked = <T>(question: () => Promise<T>) => Promise<T>;

/** Asks the API server where a pod runs. Throws pod_unknown, cluster_unavailable. */
export async function placeOf(cluster: Cluster, { namespace, name }: PodName, asked: Asked): Promise<PlacedPod> {
  const pod = await asked(() =>
    ask(`get pod ${namespace}/${name}`, cluster.core.readNamespacedPod({ namespace, name })),
  );
  if (pod === undefined)
    throw new Fault(
      'pod_unknown',
      `there is no pod ${name} in namespace ${namespace}: see 'kubectl get pods -n ${namespace}'`,
    );
  const placed = placedOf(pod);
  if (placed !== undefined) return placed;
  throw new Fault(
    'pod_unknown',
    `pod ${namespace}/${name} runs on no node (${pod.status?.phase ?? 'unknown'}): capture the node that it ran on by its name`,
  );
}

/**
 * Asks the API server for the running pods that fit; `labels` as kubectl takes them, `namespace` empty for all. Throws pod_unknown when there is
 * none, invalid_argument for a selector that cannot be read, cluster_unavailable.
 */
export async function placesOf(
  cluster: Cluster,
  namespace: string,
  labels: string,
  asked: Asked,
): Promise<PlacedPod[]> {
  const selector = labels === '' ? {} : { labelSelector: labels };
  const list: ListPage<V1Pod> = async (page) => {
    const filter = { ...page, ...selector };
    const listed =
      namespace === ''
        ? cluster.core.listPodForAllNamespaces(filter)
        : cluster.core.listNamespacedPod({ namespace, ...filter });
    return (await ask('list pods', listed).catch((error: unknown) => refuseSelector(labels, error))) ?? { items: [] };
  };
  const pods: PlacedPod[] = [];
  let seen = 0;
  for await (const { items } of readPages<V1Pod>((page) => asked(() => list(page)))) {
    seen += items.length;
    if (seen > mostPods)
      throw new Fault('invalid_argument', `more than ${mostPods} pods fit: name a namespace or more labels`);
    pods.push(...items.map(placedOf).filter((pod) => pod !== undefined));
  }
  if (pods.length > 0) return pods;
  const what = [
    labels === '' ? '' : ` with the labels ${labels}`,
    namespace === '' ? '' : ` in namespace ${namespace}`,
  ];
  throw new Fault('pod_unknown', `no running pod${what.join('')} was found: see 'kubectl get pods'`);
}

function refuseSelector(labels: string, error: unknown): never {
  const status = error instanceof Fault ? statusOf(error.cause) : undefined;
  if (status?.code !== 400) throw error;
  throw new Fault('invalid_argument', `the API server does not take the selector "${labels}": ${status.message}`, {
    cause: error,
  });
}

/** Undefined for a pod that has no node or has ended: its processes are gone. */
function placedOf(pod: V1Pod): PlacedPod | undefined {
  const { metadata, spec, status } = pod;
  const { namespace, name, uid } = metadata ?? {};
  if (namespace === undefined || name === undefined || uid === undefined || !spec?.nodeName) return undefined;
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const configHash = configHashOf(pod);
  return { namespace, name, uid, ...(configHash === undefined ? {} : { configHash }), nodeName: spec.nodeName };
}
