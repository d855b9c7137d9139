import { create } from '@bufbuild/protobuf';
import { type Placement, PlacementSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { PodContainerNames } from './analysis.ts';
import { placeCgroup } from './placement.ts';

/** The names that the node gave to its containers, by what the kernel's memory says of them. */
export class ContainerNames {
  readonly #byContainerId: ReadonlyMap<string, PodContainerNames>;
  readonly #byPodUid: ReadonlyMap<string, PodContainerNames>;

  constructor(containers: readonly PodContainerNames[]) {
    this.#byContainerId = new Map(containers.map((container) => [container.containerId, container]));
    this.#byPodUid = new Map(containers.map((container) => [container.podUid, container]));
  }

  /**
   * Where a process with this cgroup path ran; undefined for the node's own. The pod's sandbox has an id that the node does not name: it gets
   * its pod's names and no container name. The pod's uid is always the one in memory.
   */
  place(cgroup: string): Placement | undefined {
    const container = placeCgroup(cgroup);
    if (container === undefined) return undefined;
    const byId = this.#byContainerId.get(container.containerId);
    // Names given to this container under another pod's uid are no names of this pod.
    const named = byId?.podUid === container.podUid ? byId : undefined;
    const pod = named ?? this.#byPodUid.get(container.podUid);
    return create(PlacementSchema, {
      ...container,
      podNamespace: pod?.podNamespace ?? '',
      podName: pod?.podName ?? '',
      containerName: named?.containerName ?? '',
    });
  }
}
