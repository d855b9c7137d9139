// Why it is done this way: docs/decisions/006-pod-names-from-log-links.md

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One container of a pod: the message PodContainer. */
export interface PodContainer {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly containerName: string;
  /** Empty when the link's name was cut within it, or before. */
  readonly containerId: string;
}

const containerFolder = /(?:^|\/)(([^_/]+)_([^_/]+)_([^_/]+))\/([^_/]+)\/[^/]+$/;
/** As the API server gives it, or a static pod's config hash. */
const wholeUid = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$/;
const suffix = '.log';
/** Bytes of a file's name, at most: the kubelet cuts what stands before the suffix to fit. */
const longestName = 255;

/**
 * Returns the container of a log link of the kubelet: `POD_NAMESPACE_CONTAINER-ID.log` pointing to `…/NAMESPACE_POD_UID/CONTAINER/N.log`.
 * Undefined for anything else.
 */
export function parseLogLink(name: string, target: string): PodContainer | undefined {
  const [, folder, podNamespace, podName, podUid, containerName] = containerFolder.exec(target) ?? [];
  if (!folder || !podNamespace || !podName || !podUid || !containerName) return undefined;
  // The kubelet cuts no folder's name. Should one be cut all the same, it is the uid that is not whole.
  if (!name.endsWith(suffix) || (folder.length === longestName && !wholeUid.test(podUid))) return undefined;
  const container = { podNamespace, podName, podUid, containerName };
  const begin = `${podName}_${podNamespace}_${containerName}-`;
  const stem = name.slice(0, -suffix.length);
  const id = stem.startsWith(begin) ? stem.slice(begin.length) : '';
  if (/^[0-9a-f]{64}$/.test(id)) return { ...container, containerId: id };
  const isCut = name.length === longestName && (begin.startsWith(stem) || /^[0-9a-f]{1,63}$/.test(id));
  return isCut ? { ...container, containerId: '' } : undefined;
}

/** More are not taken by the collector: see proto/bounds/table.ts. */
const mostContainers = 4_096;

/**
 * The pods' containers on this node by the links in /var/log/containers, stopped ones included; empty where there is no kubelet, and the first
 * 4,096 by name where there are more.
 */
export function listContainers(folder: string): PodContainer[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const containers = names.sort().flatMap((name) => {
    try {
      return parseLogLink(name, readlinkSync(join(folder, name))) ?? [];
    } catch {
      // A pod ended between the listing and the look at it.
      return [];
    }
  });
  return containers.slice(0, mostContainers);
}
