/** The pod that a cgroup belongs to, and its container. */
export interface PlacedContainer {
  /** As in the API: dashes, or 32 hex digits for a static pod. */
  readonly podUid: string;
  /** 64 hex digits; empty when the path does not name the container: a runtime that is not known, or the pod's own cgroup. */
  readonly containerId: string;
}

const uid = '(?<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})';
const id = '(?<id>[0-9a-f]{64})';

interface Layout {
  /** How a pod's directory is named. */
  readonly pod: RegExp;
  /** How the directory above it must be named, given the match of `pod` and the directory above that. */
  readonly isAbove: (match: RegExpExecArray, parent: string, grandparent: string) => boolean;
  /** How a container's directory below the pod's is named. */
  readonly container: RegExp;
}

const layouts: readonly Layout[] = [
  {
    // The cgroupfs driver: kubepods, the class unless guaranteed, pod<uid>, the id; CRI-O puts its name before the id.
    pod: new RegExp(`^pod${uid}$`),
    isAbove: (_match, parent, grandparent) =>
      parent === 'kubepods' || (/^(besteffort|burstable)$/.test(parent) && grandparent === 'kubepods'),
    container: new RegExp(`^(?:crio-)?${id}$`),
  },
  {
    // The systemd driver: nested slices, each with its parent's name before its own (and the kubelet's cgroup root first of all), "_" for "-"
    // in the uid; then a scope of containerd, CRI-O or Docker.
    pod: new RegExp(`^(?<slice>(?:[^/]+-)?kubepods(?:-besteffort|-burstable)?)-pod${uid}\\.slice$`),
    isAbove: (match, parent) => parent === `${match.groups?.slice}.slice`,
    container: new RegExp(`^(?:cri-containerd|crio|docker)-${id}\\.scope$`),
  },
];

/**
 * A runtime with the cgroupfs driver under a kubelet with the systemd driver: the slice's name, the runtime's and the id in one directory,
 * wherever the runtime itself runs.
 */
const joined = new RegExp(
  `^(?:[^/:]+-)?kubepods(?:-besteffort|-burstable)?-pod${uid}\\.slice:(?<container>[^/:]+:[^/:]+)$`,
);
const joinedContainer = new RegExp(`^(?:cri-containerd|crio|docker):${id}$`);

/** CRI-O's monitor of a container: a program of the node in the pod's cgroup. */
const monitor = /^crio-conmon-[0-9a-f]{64}(?:\.scope)?$/;

const maxPathLength = 4096;

/**
 * Returns the pod and container of a process by its cgroup path, as /proc/PID/cgroup shows it after "0::" or a v1 controller's name; undefined
 * for a process of the node. The outermost pod counts, and the directory right below it: no workload can make a cgroup above its own.
 */
export function placeCgroup(path: string): PlacedContainer | undefined {
  if (path.length > maxPathLength || !path.startsWith('/')) return undefined;
  // A removed cgroup is shown with this ending, one outside the reader's cgroup namespace with leading "..".
  const segments = path
    .replace(/ \(deleted\)$/, '')
    .slice(1)
    .split('/');
  while (segments[0] === '..') segments.shift();
  if (segments.some((segment) => segment === '..' || segment === '.' || segment === '')) return undefined;
  for (const [index, segment] of segments.entries()) {
    const both = joined.exec(segment);
    if (both !== null) return placed(both, joinedContainer, both.groups?.container ?? '');
    for (const layout of layouts) {
      const pod = layout.pod.exec(segment);
      if (pod === null || !layout.isAbove(pod, segments[index - 1] ?? '', segments[index - 2] ?? '')) continue;
      return placed(pod, layout.container, segments[index + 1] ?? '');
    }
  }
  return undefined;
}

function placed(pod: RegExpExecArray, container: RegExp, below: string): PlacedContainer | undefined {
  const podUid = pod.groups?.uid?.replaceAll('_', '-');
  if (podUid === undefined || monitor.test(below)) return undefined;
  return { podUid, containerId: container.exec(below)?.groups?.id ?? '' };
}
