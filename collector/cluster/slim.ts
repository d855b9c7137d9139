import type { V1ContainerStatus, V1Node, V1Pod } from '@kubernetes/client-node';
import { configHashOf, mirrorAnnotations } from './static-pods.ts';

// The cluster's objects are large and many: a list of 60,000 pods would take more memory than all the rest of the collector.

/** Conditions of a node that is short of something; kept while they hold. */
const pressures = new Set(['MemoryPressure', 'DiskPressure', 'PIDPressure']);

/** Leaves of a node, in place, what the inventory reads. */
export function slimNode(node: V1Node): void {
  node.metadata = metadataOf(node);
  delete node.spec;
  const pressing = (node.status?.conditions ?? []).filter(
    ({ type, status }) => pressures.has(type) && status === 'True',
  );
  if (pressing.length === 0) delete node.status;
  else node.status = { conditions: pressing.map(({ type }) => ({ type, status: 'True' })) };
}

/** Leaves of a pod, in place, what the inventory reads. */
export function slimPod(pod: V1Pod): void {
  const hash = configHashOf(pod);
  pod.metadata = { ...metadataOf(pod), ...(hash === undefined ? {} : { annotations: mirrorAnnotations(hash) }) };
  const nodeName = pod.spec?.nodeName;
  pod.spec = { containers: [], ...(nodeName === undefined ? {} : { nodeName }) };
  const { initContainerStatuses, containerStatuses, ephemeralContainerStatuses, phase } = pod.status ?? {};
  pod.status = {
    ...(phase === undefined ? {} : { phase }),
    initContainerStatuses: statusesOf(initContainerStatuses),
    containerStatuses: statusesOf(containerStatuses),
    ephemeralContainerStatuses: statusesOf(ephemeralContainerStatuses),
  };
}

function metadataOf({ metadata }: V1Node | V1Pod) {
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  return {
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

const statusesOf = (statuses: readonly V1ContainerStatus[] = []): V1ContainerStatus[] =>
  statuses.map(({ name, containerID }) => ({
    name,
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
    ...(containerID === undefined ? {} : { containerID }),
  }));
