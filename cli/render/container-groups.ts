import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { PodContainer } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { isInPods } from './asked-pods.ts';

/** Processes that belong together, under the path of their container. */
export interface ContainerGroup {
  /** Namespace, pod, container; raw text. */
  readonly path: readonly string[];
  readonly processes: readonly Process[];
}

interface Place {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly containerName: string;
  readonly containerId: string;
}

/**
 * One group per container, in the order of namespace, pod, container, those of some pods before all others; containers that were named but
 * hold no process included.
 */
export function containerGroups(
  processes: readonly Process[],
  containers: readonly PodContainer[],
  podsFirst: readonly PodReference[] = [],
): ContainerGroup[] {
  const groups = new Map<string, { place: Place; processes: Process[] }>();
  const groupAt = (place: Place) => {
    const key = place.containerId === '' ? JSON.stringify([place.podUid, place.containerName]) : place.containerId;
    const group = groups.get(key) ?? { place, processes: [] };
    groups.set(key, group);
    return group;
  };
  for (const container of containers) groupAt(container);
  for (const process of processes) {
    if (process.placement === undefined) continue;
    const group = groupAt(process.placement);
    // The kernel's memory decides where claims about a container differ, and where it bears none of them out.
    group.place = process.placement;
    group.processes.push(process);
  }
  return [...groups.values()]
    .toSorted((a, b) => compare(orderOf(a.place, podsFirst), orderOf(b.place, podsFirst)))
    .map((group) => ({ path: pathOf(group.place), processes: group.processes }));
}

function pathOf(place: Place): string[] {
  const pod = place.podName === '' ? `pod ${place.podUid}` : place.podName;
  return [...(place.podNamespace === '' ? [] : [place.podNamespace]), pod, containerOf(place)];
}

function containerOf({ podName, containerName, containerId }: Place): string {
  if (containerName !== '') return containerName;
  if (containerId === '') return 'outside its containers';
  // The node names no sandboxes; without a name nothing tells one from a container that the node kept silent about.
  return `container ${containerId.slice(0, 12)}${podName === '' ? '' : ' (sandbox or unnamed)'}`;
}

/** Pods without a name come last, and so do the containers without one. */
function orderOf(place: Place, podsFirst: readonly PodReference[]): string[] {
  const named = (text: string): string[] => [text === '' ? '1' : '0', text];
  return [
    isInPods(place, podsFirst) ? '0' : '1',
    ...named(place.podNamespace),
    ...named(place.podName),
    place.podUid,
    ...named(place.containerName),
    place.containerId,
  ];
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? '';
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
