import { Fault } from '@kcorder/proto/fault.ts';
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { NodeIdentity } from '../capture/capture.ts';
import { ask, type Cluster, statusOf } from './client.ts';
import { type ListPage, readPages } from './pages.ts';
import type { Asked } from './pods.ts';

/** Which nodes: all of what is set must fit. */
export interface Fitting {
  /** Labels of nodes, as kubectl takes them; empty: whichever. */
  readonly nodeLabels: string;
  /** Nodes on which pods of one of these namespaces run. */
  readonly podNamespaces: readonly string[];
  /** Nodes on which pods with these labels run, within the namespaces if there are any. */
  readonly podLabels: string;
}

/** Asks the API server for the nodes that fit, by name, each page in its turn. Throws cluster_unavailable, also for a selector that it does not take. */
export async function nodesThatFit(cluster: Cluster, wanted: Fitting, asked: Asked): Promise<NodeIdentity[]> {
  const { nodeLabels, podNamespaces, podLabels } = wanted;
  const labelled = (selector: string) => (selector === '' ? {} : { labelSelector: selector });
  const nodes: NodeIdentity[] = [];
  const listNodes: ListPage<V1Node> = (page) => cluster.core.listNode({ ...page, ...labelled(nodeLabels) });
  for await (const { metadata: { name, uid } = {} } of listed('nodes', listNodes, asked))
    if (name !== undefined && uid !== undefined) nodes.push({ name, uid });
  const places = podNamespaces.length === 0 && podLabels === '' ? undefined : new Set<string>();
  for (const namespace of places === undefined ? [] : podNamespaces.length === 0 ? [''] : podNamespaces) {
    const listPods: ListPage<V1Pod> = (page) =>
      namespace === ''
        ? cluster.core.listPodForAllNamespaces({ ...page, ...labelled(podLabels) })
        : cluster.core.listNamespacedPod({ namespace, ...page, ...labelled(podLabels) });
    for await (const pod of listed('pods', listPods, asked)) if (runs(pod)) places?.add(pod.spec?.nodeName ?? '');
  }
  return nodes
    .filter(({ name }) => places === undefined || places.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The processes of a pod that has ended are gone. */
const runs = ({ status }: V1Pod): boolean => status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

/** The objects of a list, one page of them in memory at a time. */
async function* listed<T>(what: string, list: ListPage<T>, asked: Asked): AsyncGenerator<T> {
  const ofPage: ListPage<T> = async (page) => {
    const answer = await ask(`list ${what}`, list(page)).catch((error: unknown) => {
      const status = error instanceof Fault ? statusOf(error.cause) : undefined;
      if (status?.code !== 400) throw error;
      throw new Fault('cluster_unavailable', `the API server does not take a selector of ${what}: ${status.message}`, {
        cause: error,
      });
    });
    return answer ?? { items: [] };
  };
  for await (const { items } of readPages<T>((page) => asked(() => ofPage(page)))) yield* items;
}
