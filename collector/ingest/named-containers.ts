import type { NamedContainer } from '../capture/capture.ts';

/**
 * Returns the containers that the API server names, and those of the node that are not among them. Where the two contradict each other about a
 * container's pod both are kept: the uid in memory decides. A uid has the name that the API server gives it, and no other.
 */
export function withNodeContainers(
  fromApi: readonly NamedContainer[],
  fromNode: readonly NamedContainer[],
): NamedContainer[] {
  const known = new Set(
    fromApi.flatMap(({ podUid, configHash = '', containerName, containerId }) =>
      [podUid, configHash].flatMap((uid) => [key(uid, 'id', containerId), key(uid, 'name', containerName)]),
    ),
  );
  const pods = new Map(fromApi.map(({ podUid, podNamespace, podName }) => [podUid, key(podNamespace, podName)]));
  const isDenied = ({ podUid, podNamespace, podName }: NamedContainer) =>
    (pods.get(podUid) ?? key(podNamespace, podName)) !== key(podNamespace, podName);
  const isKnown = ({ podUid, containerName, containerId }: NamedContainer) =>
    known.has(containerId === '' ? key(podUid, 'name', containerName) : key(podUid, 'id', containerId));
  return [...fromApi, ...fromNode.filter((container) => !isDenied(container) && !isKnown(container))];
}

const key = (...parts: readonly string[]): string => JSON.stringify(parts);
