import { create } from '@bufbuild/protobuf';
import { type Placement, PlacementSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { PodContainerNames } from './analysis.ts';
import { placeCgroup } from './placement.ts';

type Names = Pick<Placement, 'podNamespace' | 'podName' | 'containerName'>;

const nameless: Names = { podNamespace: '', podName: '', containerName: '' };

/** Names that the node and the API server gave to containers, by what the kernel's memory says of them. */
export class ContainerNames {
  /** By pod, and by pod and container: see `keyOf`. */
  readonly #names = new Map<string, Names>();

  constructor(containers: readonly PodContainerNames[]) {
    for (const container of containers) {
      const { podUid, configHash = '', containerId } = container;
      for (const [kind, uid] of [['uid', podUid] as const, ['hash', configHash] as const]) {
        if (uid === '') continue;
        this.#note(keyOf(kind, uid), container);
        if (containerId !== '') this.#note(keyOf(kind, uid, containerId), container);
      }
    }
  }

  /**
   * Returns where a process with this cgroup path ran; undefined for the node's own. The pod's uid is always the one in memory, and names given
   * under another uid are none of this pod. A sandbox, which nobody names, gets its pod's names; contradictory names are left out.
   */
  place(cgroup: string): Placement | undefined {
    const container = placeCgroup(cgroup);
    if (container === undefined) return undefined;
    const { podUid: uid, containerId } = container;
    const byUid = this.#names.get(keyOf('uid', uid, containerId));
    const byHash = this.#names.get(keyOf('hash', uid, containerId));
    // A hash is an annotation that whoever makes a pod can write: it names nothing that a uid names.
    const pod =
      byUid ?? this.#names.get(keyOf('uid', uid)) ?? byHash ?? this.#names.get(keyOf('hash', uid)) ?? nameless;
    const itself = [byUid, byHash].find((names) => names !== undefined && isSamePod(names, pod));
    return create(PlacementSchema, { ...container, ...pod, containerName: itself?.containerName ?? '' });
  }

  #note(key: string, { podNamespace, podName, containerName }: Names): void {
    const names = { podNamespace, podName, containerName };
    const before = this.#names.get(key) ?? names;
    if (!isSamePod(before, names)) this.#names.set(key, nameless);
    else this.#names.set(key, { ...names, containerName: before.containerName === containerName ? containerName : '' });
  }
}

/** Key of a container's names; without a container, of its pod's. Nothing is noted under the empty id. */
function keyOf(kind: 'uid' | 'hash', uid: string, containerId?: string): string {
  return JSON.stringify([kind, uid, containerId]);
}

const isSamePod = (a: Names, b: Names): boolean => a.podNamespace === b.podNamespace && a.podName === b.podName;
