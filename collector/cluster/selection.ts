import { Fault } from '@kcorder/proto/fault.ts';
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { NodeIdentity } from '../capture/capture.ts';
import { ask, type Cluster, statusOf } from './client.ts';

/** Which nodes: all of what is set must fit. */
export interface Fitting {
  /** Labels of nodes, as kubectl takes them; empty: whichever. */
  readonly nodeLabels: string;
  /** Nodes on which pods of one of these namespaces run. */
  readonly podNamespaces: readonly string[];
  /** Nodes on which pods with these labels run, within the namespaces if there are any. */
  readonly podLabels: string;
}

const pageSize = 500;

/** Asks the API server for the nodes that fit, by name. Throws cluster_unavailable, also for a selector that it does not take. */
export async function nodesThatFit(cluster: Cluster, wanted: Fitting): Promise<NodeIdentity[]> {
  const { nodeLabels, podNamespaces, podLabels } = wanted;
  const labelled = (selector: string) => (selector === '' ? {} : { labelSelector: selector });
  const nodes = await listAll<V1Node>('nodes', (page) => cluster.core.listNode({ ...page, ...labelled(nodeLabels) }));
  const places = podNamespaces.length === 0 && podLabels === '' ? undefined : new Set<string>();
  for (const namespace of places === undefined ? [] : podNamespaces.length === 0 ? [''] : podNamespaces) {
    const pods = await listAll<V1Pod>('pods', (page) =>
      namespace === ''
        ? cluster.core.listPodForAllNamespaces({ ...page, ...labelled(podLabels) })
        : cluster.core.listNamespacedPod({ namespace, ...page, ...labelled(podLabels) }),
    );
    for (const pod of pods) if (runs(pod)) places?.add(pod.spec?.nodeName ?? '');
  }
  return nodes
    .flatMap(({ metadata: { name, uid } = {} }) => (name === undefined || uid === undefined ? [] : [{ name, uid }]))
    .filter(({ name }) => places === undefined || places.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The processes of a pod that has ended are gone. */
const runs = ({ status }: V1Pod): boolean => status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

async function listAll<T>(
  what: string,
  list: (page: { limit: number; _continue?: string }) => Promise<{ items: T[]; metadata?: { _continue?: string } }>,
): Promise<T[]> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const asked = list({ limit: pageSize, ...(next === undefined ? {} : { _continue: next }) });
    const page = await ask(`list ${what}`, asked).catch((error: unknown) => {
      const status = error instanceof Fault ? statusOf(error.cause) : undefined;
      if (status?.code !== 400) throw error;
      throw new Fault('cluster_unavailable', `the API server does not take a selector of ${what}: ${status.message}`, {
        cause: error,
      });
    });
    items.push(...(page?.items ?? []));
    next = page?.metadata?._continue || undefined;
  } while (next !== undefined);
  return items;
}
