// Why it is done this way: docs/decisions/018-what-is-known-of-the-cluster.md

import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { NamedContainer, NodeIdentity } from '../capture/capture.ts';
import type { Cluster } from './client.ts';
import type { WatchPace } from './live-watch.ts';
import { Reflector } from './reflector.ts';
import { slimNode, slimPod } from './slim.ts';
import { configHashOf } from './static-pods.ts';

/** What is told of the cluster's changes. */
export interface InventoryEvents {
  /** A node is gone for good; another of its name may be there already. */
  nodeGone(name: string, uid: string): void;
  /** The API server could not be followed; it is tried again by itself. */
  failed(error: unknown): void;
}

/** Uids of nodes that are gone which are remembered. */
const mostGone = 10_000;

const usualPace: WatchPace = { watchSeconds: 15, silenceMs: 20_000 };

/** The nodes and pods of the cluster, followed by list and watch. Only what is needed of each object is kept. */
export class Inventory {
  readonly #events: InventoryEvents;
  readonly #nodes: Reflector<V1Node>;
  readonly #pods: Reflector<V1Pod>;
  /** Uids of the nodes by name: one that was made again while nobody watched comes as a change. */
  readonly #uids = new Map<string, string>();
  readonly #gone = new Set<string>();

  constructor({ config, core }: Cluster, events: InventoryEvents, pace = usualPace) {
    this.#events = events;
    const failed = (error: unknown) => events.failed(error);
    const nodes = { path: '/api/v1/nodes', list: core.listNode.bind(core), slim: slimNode };
    this.#nodes = new Reflector<V1Node>(config, nodes, failed, pace);
    const pods = { path: '/api/v1/pods', list: core.listPodForAllNamespaces.bind(core), slim: slimPod };
    this.#pods = new Reflector<V1Pod>(config, pods, failed, pace);
    this.#nodes.objects.on('change', ({ metadata }) => this.#noteUid(metadata?.name ?? '', metadata?.uid));
    this.#nodes.objects.on('delete', ({ metadata }) => this.#noteUid(metadata?.name ?? '', undefined));
  }

  /** Follows the API server until `stop`; what goes wrong is tried again for ever. */
  start(): void {
    this.#nodes.start();
    this.#pods.start();
  }

  stop(): void {
    this.#nodes.stop();
    this.#pods.stop();
  }

  /** When both lists were last known to be those of the API server; undefined before the first time. */
  get inStepAt(): Date | undefined {
    const { inStepMs: nodesMs } = this.#nodes;
    const { inStepMs: podsMs } = this.#pods;
    return nodesMs === undefined || podsMs === undefined ? undefined : new Date(Math.min(nodesMs, podsMs));
  }

  /** The uid of the node that has this name now, as far as it is known. */
  nodeUid(name: string): string | undefined {
    return this.#nodes.objects.get(name)?.metadata?.uid;
  }

  /**
   * Why a node is not the one that the API server has under its name; undefined when it is, and while the list of nodes was never read. With
   * `outsiders` a name that the API server does not know is taken, unless it is known that the node was deleted.
   */
  strangeness({ name, uid }: NodeIdentity, outsiders: boolean): string | undefined {
    const now = this.nodeUid(name);
    if (now === uid) return undefined;
    if (now !== undefined) return `node ${name} (${uid}) was deleted and made again: it is ${now} by now`;
    const isKnown = this.#nodes.inStepMs !== undefined && (!outsiders || this.#gone.has(uid));
    return isKnown ? `node ${name} (${uid}) is not part of the cluster` : undefined;
  }

  /** What the node is short of, as MemoryPressure, as far as it is known. */
  pressureOn(name: string): string[] {
    return (this.#nodes.objects.get(name)?.status?.conditions ?? []).map(({ type }) => type);
  }

  /** Every container of the node's pods, by the API server's word. Pods that have ended are there until they are deleted. */
  containersOn(nodeName: string): NamedContainer[] {
    return this.#pods.objects
      .list()
      .filter(({ spec }) => spec?.nodeName === nodeName)
      .flatMap(containersOf);
  }

  #noteUid(name: string, uid: string | undefined): void {
    const before = this.#uids.get(name);
    if (before === uid) return;
    if (uid === undefined) this.#uids.delete(name);
    else this.#uids.set(name, uid);
    if (before === undefined) return;
    this.#gone.add(before);
    for (const oldest of this.#gone) if (this.#gone.size > mostGone) this.#gone.delete(oldest);
    this.#events.nodeGone(name, before);
  }
}

/** The containers of a pod with the ids that its kubelet gave: `containerd://` and 64 hex digits. */
function containersOf(pod: V1Pod): NamedContainer[] {
  const { metadata, status } = pod;
  const { namespace = '', name: podName = '', uid: podUid = '' } = metadata ?? {};
  const configHash = configHashOf(pod);
  const ofPod = { podNamespace: namespace, podName, podUid, ...(configHash === undefined ? {} : { configHash }) };
  const statuses = [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  return statuses.flatMap(({ name, containerID }) => {
    const containerId = /^[a-z0-9.+-]+:\/\/([0-9a-f]{64})$/.exec(containerID ?? '')?.[1];
    return containerId === undefined ? [] : [{ ...ofPod, containerName: name, containerId }];
  });
}
