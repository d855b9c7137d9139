import { type KubernetesObject, ListWatch, type V1Node, type V1Pod, Watch } from '@kubernetes/client-node';
import type { NamedContainer } from '../capture/capture.ts';
import type { Cluster } from './client.ts';
import { slimNode, slimPod } from './slim.ts';

/** What is told of the cluster's changes. */
export interface InventoryEvents {
  /** A node is gone for good; another of its name may be there already. */
  nodeGone(name: string, uid: string): void;
  /** The API server could not be followed; it is tried again by itself. */
  trouble(error: unknown): void;
}

const firstRetryMs = 1_000;
const lastRetryMs = 30_000;
const probeMs = 15_000;
const pageSize = 500;

/** The nodes and pods of the cluster, followed by list and watch. Only what is needed of each object is kept. */
export class Inventory {
  readonly #cluster: Cluster;
  readonly #events: InventoryEvents;
  readonly #nodes: ListWatch<V1Node>;
  readonly #pods: ListWatch<V1Pod>;
  /** Those whose watch runs. */
  readonly #following = new Set<unknown>();
  /** Uids of the nodes by name: one that was made again while nobody watched comes as a change. */
  readonly #uids = new Map<string, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #inStepAt: number | undefined;
  #stopped = false;

  constructor(cluster: Cluster, events: InventoryEvents) {
    this.#cluster = cluster;
    this.#events = events;
    const { core } = cluster;
    this.#nodes = this.#listWatch('/api/v1/nodes', (page) => core.listNode(page), slimNode);
    this.#pods = this.#listWatch('/api/v1/pods', (page) => core.listPodForAllNamespaces(page), slimPod);
    this.#nodes.on('change', ({ metadata }) => this.#noteUid(metadata?.name ?? '', metadata?.uid));
    this.#nodes.on('delete', ({ metadata }) => this.#noteUid(metadata?.name ?? '', undefined));
  }

  /** Follows the API server until `stop`; what goes wrong is tried again for ever. */
  start(): void {
    this.#follow(this.#nodes);
    this.#follow(this.#pods);
    this.#every(probeMs, () => this.#probe());
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    void this.#nodes.stop();
    void this.#pods.stop();
  }

  /** When both lists were last known to be those of the API server; undefined before the first time. */
  get inStepAt(): Date | undefined {
    return this.#inStepAt === undefined ? undefined : new Date(this.#inStepAt);
  }

  /** The uid of the node that has this name now, as far as it is known. */
  nodeUid(name: string): string | undefined {
    return this.#nodes.get(name)?.metadata?.uid;
  }

  /** What the node is short of, as MemoryPressure, as far as it is known. */
  pressureOn(name: string): string[] {
    return (this.#nodes.get(name)?.status?.conditions ?? []).map(({ type }) => type);
  }

  /** Every container of the node's pods, by the API server's word. Pods that have ended are there until they are deleted. */
  containersOn(nodeName: string): NamedContainer[] {
    return this.#pods
      .list()
      .filter(({ spec }) => spec?.nodeName === nodeName)
      .flatMap(containersOf);
  }

  #noteUid(name: string, uid: string | undefined): void {
    const before = this.#uids.get(name);
    if (before === uid) return;
    if (uid === undefined) this.#uids.delete(name);
    else this.#uids.set(name, uid);
    if (before !== undefined) this.#events.nodeGone(name, before);
  }

  #listWatch<T extends V1Node | V1Pod>(
    path: string,
    list: (page: {
      limit: number;
      _continue?: string;
    }) => Promise<{ items: T[]; metadata?: { _continue?: string; resourceVersion?: string } }>,
    slim: (object: T) => void,
  ): ListWatch<T> {
    const listWatch = new ListWatch<T>(
      path,
      new Watch(this.#cluster.config),
      async () => (await listAll(list, slim)) as never,
      false,
    );
    listWatch.on('change', slim);
    return listWatch;
  }

  #follow<T extends V1Node | V1Pod>(listWatch: ListWatch<T>): void {
    let retryMs = firstRetryMs;
    const attempt = async (): Promise<void> => {
      let broken = false;
      const mark = (): void => {
        broken = true;
      };
      listWatch.on('error', mark);
      try {
        // It ends when the watch has begun; a list or watch that failed was told as an error by then.
        await listWatch.start();
      } finally {
        listWatch.off('error', mark);
      }
      if (broken) return;
      this.#following.add(listWatch);
      this.#noteStep();
    };
    const retry = (error: unknown): void => {
      this.#following.delete(listWatch);
      if (this.#stopped) return;
      this.#events.trouble(error);
      const timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          attempt().catch(retry);
        },
        retryMs * (0.5 + Math.random() / 2),
      );
      this.#timers.add(timer);
      retryMs = Math.min(lastRetryMs, retryMs * 2);
    };
    listWatch.on('error', retry);
    listWatch.on('change', () => {
      retryMs = firstRetryMs;
    });
    attempt().catch(retry);
  }

  /** A watch that hears nothing looks like one on a quiet cluster: so the API server is asked something else beside it. */
  async #probe(): Promise<void> {
    try {
      await this.#cluster.core.listNode({ limit: 1 });
      this.#noteStep();
    } catch (error) {
      this.#events.trouble(error);
    }
  }

  #noteStep(): void {
    if (this.#following.size === 2) this.#inStepAt = Date.now();
  }

  #every(ms: number, body: () => Promise<void>): void {
    const timer = setInterval(() => void body(), ms);
    timer.unref();
    this.#timers.add(timer);
  }
}

async function listAll<T extends KubernetesObject>(
  list: (page: {
    limit: number;
    _continue?: string;
  }) => Promise<{ items: T[]; metadata?: { _continue?: string; resourceVersion?: string } }>,
  slim: (object: T) => void,
): Promise<{ items: T[]; metadata: { resourceVersion?: string } }> {
  const items: T[] = [];
  let resourceVersion: string | undefined;
  let next: string | undefined;
  do {
    const page = await list({ limit: pageSize, ...(next === undefined ? {} : { _continue: next }) });
    page.items.forEach(slim);
    items.push(...page.items);
    resourceVersion ??= page.metadata?.resourceVersion;
    next = page.metadata?._continue || undefined;
  } while (next !== undefined);
  return { items, metadata: resourceVersion === undefined ? {} : { resourceVersion } };
}

/** The containers of a pod with the ids that its kubelet gave: `containerd://` and 64 hex digits. */
function containersOf({ metadata, status }: V1Pod): NamedContainer[] {
  const statuses = [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  return statuses.flatMap(({ name, containerID }) => {
    const containerId = /^[a-z0-9.+-]+:\/\/([0-9a-f]{64})$/.exec(containerID ?? '')?.[1];
    if (containerId === undefined) return [];
    const { namespace = '', name: podName = '', uid: podUid = '' } = metadata ?? {};
    return [{ podNamespace: namespace, podName, podUid, containerName: name, containerId }];
  });
}
