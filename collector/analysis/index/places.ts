import type { Placement } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';

/** Where a row belongs. Names are null where the node did not tell them; a container also where a pod has several that it may be. */
export interface Place {
  readonly placement: 'pod' | 'node' | 'unknown';
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly podUid: string | null;
  readonly container: string | null;
  readonly containerId: string;
}

const nowhere = { namespace: null, pod: null, podUid: null, container: null, containerId: '' };

/** Of the node itself. */
export const onNode: Place = { placement: 'node', ...nowhere };

/** Not to be told, or of several at once. */
export const unknown: Place = { placement: 'unknown', ...nowhere };

/** The container that a cgroup was placed in. */
export function inPod({ podNamespace, podName, podUid, containerName, containerId }: Placement): Place {
  const named = (text: string): string | null => (text === '' ? null : text);
  return {
    placement: 'pod',
    namespace: named(podNamespace),
    pod: named(podName),
    podUid,
    container: named(containerName),
    containerId,
  };
}

/** Owners of what several tasks have: a namespace, a device. */
export class Owners {
  #place: Place | undefined;

  constructor(first?: Place) {
    this.#place = first;
  }

  add(place: Place): void {
    this.#place = this.#place === undefined ? place : together(this.#place, place);
  }

  /** The one place that all of them are in; of a pod with several containers, the pod. */
  get place(): Place {
    return this.#place ?? unknown;
  }
}

/** What two places have in common. */
function together(one: Place, other: Place): Place {
  if (one.placement !== other.placement || one.podUid !== other.podUid) return unknown;
  if (one.containerId === other.containerId) return one;
  return { ...one, container: null, containerId: '' };
}
