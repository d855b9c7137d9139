import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One container of a pod: the message PodContainer. */
export interface PodContainer {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly containerName: string;
  readonly containerId: string;
}

const linkName = /^([^_]+)_([^_]+)_(.+)-([0-9a-f]{64})\.log$/;
const podFolder = /(?:^|\/)([^_/]+)_([^_/]+)_([^_/]+)\/[^/]+\/[^/]+$/;

/**
 * The container that kubelet's log link names: `POD_NAMESPACE_CONTAINER-ID.log` pointing to `…/NAMESPACE_POD_UID/CONTAINER/N.log`.
 * Undefined for anything else.
 */
export function parseLogLink(name: string, target: string): PodContainer | undefined {
  const [, podName, podNamespace, containerName, containerId] = linkName.exec(name) ?? [];
  const [, targetNamespace, targetPod, podUid] = podFolder.exec(target) ?? [];
  if (!podName || !podNamespace || !containerName || !containerId || !podUid) return undefined;
  if (targetPod !== podName || targetNamespace !== podNamespace) return undefined;
  return { podNamespace, podName, podUid, containerName, containerId };
}

/** The pods' containers on this node by the links in /var/log/containers, stopped ones included; empty where there is no kubelet. */
export function listContainers(folder: string): PodContainer[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.sort().flatMap((name) => {
    try {
      return parseLogLink(name, readlinkSync(join(folder, name))) ?? [];
    } catch {
      // A pod ended between the listing and the look at it.
      return [];
    }
  });
}
