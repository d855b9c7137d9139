import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { placeCgroup } from './placement.ts';

const id = '4e1a0fd2c5b96f7f0d0a3c1e8b7a6d5c4b3a29180706f5e4d3c2b1a09f8e7d6c';
const other = 'f'.repeat(64);
const uid = '0aa1f7c2-6a0c-4b3e-9d55-0c7a1c1b0001';
const under = uid.replaceAll('-', '_');
const hash = '3bd0c1e6a2f94c0f8f0f1bb6a9dd4c11';
const slices = `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${under}.slice`;

describe('a container of a pod', () => {
  test.each<[string, string, string]>([
    ['cgroupfs driver, best effort', `/kubepods/besteffort/pod${uid}/${id}`, uid],
    ['cgroupfs driver, burstable', `/kubepods/burstable/pod${uid}/${id}`, uid],
    ['cgroupfs driver, guaranteed: no class in between', `/kubepods/pod${uid}/${id}`, uid],
    ['cgroupfs driver with CRI-O', `/kubepods/burstable/pod${uid}/crio-${id}`, uid],
    ['systemd driver, containerd', `${slices}/cri-containerd-${id}.scope`, uid],
    ['systemd driver, CRI-O', `${slices}/crio-${id}.scope`, uid],
    ['systemd driver, Docker', `${slices}/docker-${id}.scope`, uid],
    ['systemd driver, guaranteed', `/kubepods.slice/kubepods-pod${under}.slice/cri-containerd-${id}.scope`, uid],
    [
      'systemd driver, burstable',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${under}.slice/cri-containerd-${id}.scope`,
      uid,
    ],
    [
      "a kubelet with its own cgroup root, cgroupfs: the node tests' /e2e",
      `/e2e/kubepods/besteffort/pod${uid}/${id}`,
      uid,
    ],
    [
      'a kubelet with its own cgroup root, systemd: kind',
      `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${under}.slice/cri-containerd-${id}.scope`,
      uid,
    ],
    [
      'kind in Docker with the systemd driver, seen from the machine around it',
      `/system.slice/docker-${other}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${under}.slice/cri-containerd-${id}.scope`,
      uid,
    ],
    ['k3s in a container: k3d', `/docker/${other}/kubepods/besteffort/pod${uid}/${id}`, uid],
    [
      'k3s without root',
      `/user.slice/user-1000.slice/user@1000.service/k3s-rootless.service/kubepods/burstable/pod${uid}/${id}`,
      uid,
    ],
    ['cri-dockerd with the cgroupfs driver', `/kubepods/burstable/pod${uid}/${id}`, uid],
    ['CRI-O with crun, which has a cgroup below the scope', `${slices}/crio-${id}.scope/container`, uid],
    ['CRI-O with crun, cgroupfs driver', `/kubepods/besteffort/pod${uid}/crio-${id}/container`, uid],
    ['a node that is a Docker container itself', `/docker/${other}/kubelet/kubepods/burstable/pod${uid}/${id}`, uid],
    [
      'containerd with the cgroupfs driver under a kubelet with the systemd driver',
      `/system.slice/containerd.service/kubepods-burstable-pod${under}.slice:cri-containerd:${id}`,
      uid,
    ],
    ['the same at the root', `/kubepods-besteffort-pod${under}.slice:cri-containerd:${id}`, uid],
    ['systemd running inside the container', `${slices}/cri-containerd-${id}.scope/init.scope`, uid],
    ['a service of that systemd', `${slices}/cri-containerd-${id}.scope/system.slice/nginx.service`, uid],
    ['cgroups made inside the container, cgroupfs', `/kubepods/burstable/pod${uid}/${id}/worker/1`, uid],
    ['a static pod: its uid is a hash', `/kubepods/burstable/pod${hash}/${id}`, hash],
    [
      'a static pod, systemd driver',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${hash}.slice/cri-containerd-${id}.scope`,
      hash,
    ],
    ["seen from below a cgroup namespace's root", `/../../kubepods/besteffort/pod${uid}/${id}`, uid],
    ['a container whose cgroup was removed', `/kubepods/besteffort/pod${uid}/${id} (deleted)`, uid],
    [
      'Kubernetes inside a pod: the pod that the node knows',
      `/kubepods/burstable/pod${uid}/${id}/kubepods/burstable/pod${hash}/${other}`,
      uid,
    ],
    [
      'the cpuset hierarchy of cgroup v1 has the same path',
      `/kubepods.slice/kubepods-pod${under}.slice/docker-${id}.scope`,
      uid,
    ],
  ])('%s', (_what, path, podUid) => {
    expect(placeCgroup(path)).toEqual({ podUid, containerId: id });
  });
});

describe('in a pod, in no container that can be named', () => {
  test.each<[string, string]>([
    ["Kata's sandbox, cgroupfs driver", `/kubepods/burstable/pod${uid}/kata_${id}`],
    ["Kata's sandbox in a folder of its own", `/kubepods/pod${uid}/kata/${id}`],
    ["Kata's VM outside the pod's limits", `/kata/kubepods/besteffort/pod${uid}/kata_${id}`],
    ["Kata's sandbox, systemd driver", `${slices}/kata-${id}.scope`],
    [
      "Kata's sandbox under containerd with the cgroupfs driver",
      `/kubepods-pod${under}.slice:cri-containerd:kata_${id}`,
    ],
    ['another runtime with the cgroupfs driver', `/system.slice/kubepods-pod${under}.slice:kata:${id}`],
    ['iSulad', `${slices}/isulad-${id}.scope`],
    ['gVisor with a name of its own', `/kubepods/besteffort/pod${uid}/runsc-${id}`],
    ["the pod's own cgroup, cgroupfs", `/kubepods/besteffort/pod${uid}`],
    ["the pod's own cgroup, systemd", slices],
    ['an id that is too short', `/kubepods/besteffort/pod${uid}/${id.slice(1)}`],
    ['an id that is too long', `/kubepods/besteffort/pod${uid}/${id}0`],
    ['an id with upper-case digits', `/kubepods/besteffort/pod${uid}/${id.toUpperCase()}`],
    ['an id with something behind it', `${slices}/cri-containerd-${id}.scope.d`],
    ['a runtime that is not known', `${slices}/libpod-${id}.scope`],
    ['a container that is not directly in its pod', `/kubepods/besteffort/pod${uid}/x/${id}`],
    ['a monitor that is none', `${slices}/crio-conmon-x.scope`],
    ['another pod made below an unknown scope', `${slices}/libpod-${id}.scope/kubepods/burstable/pod${hash}/${other}`],
    ["another pod made in the pod's own cgroup", `/kubepods/pod${uid}/kubepods/besteffort/pod${hash}/${other}`],
  ])('%s', (_what, path) => {
    expect(placeCgroup(path)).toEqual({ podUid: uid, containerId: '' });
  });
});

test.each([
  ['cgroupfs', `/kubepods/burstable/pod${hash}/${other}`],
  ['systemd', `/kubepods.slice/kubepods-pod${hash}.slice/crio-${other}.scope`],
  ['a joined name', `/kubepods-pod${hash}.slice:cri-containerd:${other}`],
  ['a monitor', `/crio-conmon-${other}.scope`],
])("a workload cannot leave its container by cgroups of its own that look like another pod's: %s", (_what, made) => {
  const own = [
    `/kubepods/besteffort/pod${uid}/${id}`,
    `${slices}/cri-containerd-${id}.scope`,
    `/kubepods-pod${under}.slice:cri-containerd:${id}`,
  ];
  for (const path of own) expect(placeCgroup(path + made)).toEqual(placeCgroup(path));
});

describe('not inside a pod', () => {
  test.each<[string, string]>([
    ['nothing', ''],
    ['the root', '/'],
    ['a service of the node', '/system.slice/kubelet.service'],
    ['a relative path', `kubepods/besteffort/pod${uid}/${id}`],
    ["the class's cgroup", '/kubepods/besteffort'],
    ['a plain Docker container', `/docker/${id}`],
    ['a plain Docker container under systemd', `/system.slice/docker-${id}.scope`],
    ['a uid that is cut', `/kubepods/besteffort/pod${uid.slice(1)}/${id}`],
    ['a uid that is none', `/kubepods/besteffort/podnginx/${id}`],
    ['a class that does not exist', `/kubepods/besteffort2/pod${uid}/${id}`],
    ['a pod below the wrong root', `/kubepod/besteffort/pod${uid}/${id}`],
    ["a pod's name at the top", `/pod${uid}/${id}`],
    ['a slice outside its parent', `/user.slice/kubepods-besteffort-pod${under}.slice/cri-containerd-${id}.scope`],
    [
      'a slice of one class in the other',
      slices.replace('/kubepods-besteffort.', '/kubepods-burstable.').concat(`/crio-${id}.scope`),
    ],
    ["Kata's VM without its pod: sandbox_cgroup_only=false", `/kata_overhead/${id}`],
    ["CRI-O's monitor, a program of the node", `${slices}/crio-conmon-${id}.scope`],
    ["CRI-O's monitor, cgroupfs driver", `/kubepods/burstable/pod${uid}/crio-conmon-${id}`],
    ['".." in the middle', `/kubepods/besteffort/pod${uid}/../pod${uid}/${id}`],
    ['an empty name in the middle', `/kubepods/besteffort//pod${uid}/${id}`],
    ['relative to a cgroup namespace whose root is the pod', `/../cri-containerd-${id}.scope`],
    ['removed, in the middle', `/kubepods/besteffort (deleted)/pod${uid}/${id}`],
    ['a line of /proc/PID/cgroup instead of its path', `0::/kubepods/besteffort/pod${uid}/${id}`],
    ['a path longer than any', `/kubepods/besteffort/pod${uid}/${id}/${'x'.repeat(5_000)}`],
  ])('%s', (_what, path) => {
    expect(placeCgroup(path)).toBeUndefined();
  });
});

test('no path makes it throw, and what it finds is always a uid and an id or none', () => {
  const parts = fc.constantFrom(
    'kubepods',
    'besteffort',
    `pod${uid}`,
    `pod${under}`,
    id,
    '..',
    '',
    'kubepods.slice',
    `kubepods-pod${under}.slice`,
    `crio-${id}.scope`,
    ' (deleted)',
  );
  const paths = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(parts, fc.string())).map((each) => `/${each.join('/')}`),
  );
  fc.assert(
    fc.property(paths, (path) => {
      const found = placeCgroup(path);
      if (found === undefined) return;
      expect(found.podUid).toMatch(/^[0-9a-f-]{32,36}$/);
      expect(found.containerId).toMatch(/^([0-9a-f]{64})?$/);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
