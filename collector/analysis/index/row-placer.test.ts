import { expect, test } from 'vitest';
import { knownColumns } from '../plugins.ts';
import type { Cell } from '../protocol.ts';
import { RowReader } from '../row-reader.ts';
import { Devices } from './devices.ts';
import { RowPlacer } from './row-placer.ts';
import { Tasks } from './tasks.ts';
import { cgroupOf, containerOf, podUid, processRow } from './testing/results.ts';

const tasks = new Tasks([containerOf(1, 1), containerOf(1, 2), containerOf(2, 3)]);
const cells = new RowReader<never>(knownColumns('processes'));
const node = { cgroup: '/init.scope', netNamespace: 1, mntNamespace: 1 };
for (const row of [
  { pid: 1, nspid: 1, comm: 'systemd', ...node },
  { pid: 2, nspid: 2, comm: 'kthreadd', kernelThread: true, cgroup: '/', netNamespace: 1, mntNamespace: 1 },
  { pid: 10, nspid: 1, comm: 'pause', cgroup: cgroupOf(1, 9), netNamespace: 100, mntNamespace: 100 },
  { pid: 11, nspid: 7, comm: 'web', cgroup: cgroupOf(1, 1), netNamespace: 100, mntNamespace: 101, offset: '0xa1' },
  { pid: 12, nspid: 1, comm: 'side', cgroup: cgroupOf(1, 2), netNamespace: 100, mntNamespace: 102 },
  { pid: 20, nspid: 1, comm: 'db', cgroup: cgroupOf(2, 3), netNamespace: 200, mntNamespace: 201 },
  // Of the pod 2, in the network of the node.
  { pid: 21, nspid: 2, comm: 'proxy', cgroup: cgroupOf(2, 3), netNamespace: 1, mntNamespace: 201 },
  { pid: 30, nspid: 1, comm: 'nameless', cgroup: cgroupOf(3, 4), netNamespace: 300, mntNamespace: 301 },
  // Both pods in one namespace, and a service of the node in one with a pod.
  { pid: 40, comm: 'x', cgroup: cgroupOf(1, 1), netNamespace: 400, mntNamespace: 400 },
  { pid: 41, comm: 'y', cgroup: cgroupOf(2, 3), netNamespace: 400, mntNamespace: 400 },
  { pid: 42, comm: 'z', cgroup: '/system.slice/z.service', netNamespace: 500, mntNamespace: 500 },
  { pid: 43, comm: 'z', cgroup: cgroupOf(1, 1), netNamespace: 500, mntNamespace: 500 },
  { pid: 50, comm: 'unread', netNamespace: 600, mntNamespace: 600 },
  { pid: 51, comm: 'qemu', cgroup: `/kata_overhead/${'e'.repeat(64)}`, netNamespace: 601, mntNamespace: 601 },
  // One pid twice, as in a smeared image.
  { pid: 60, comm: 'a', cgroup: cgroupOf(1, 1), offset: '0xb1' },
  { pid: 60, comm: 'b', cgroup: cgroupOf(2, 3), offset: '0xb2' },
])
  tasks.add(cells, processRow(row));
tasks.addThread(1_100, 11);

const devices = new Devices(tasks);
const mounts = ['MNT_NS_ID', 'MAJOR:MINOR', 'MOUNT_POINT', 'FSTYPE'];
for (const row of [
  [1, '254:1', '/', 'ext4'],
  [101, '254:1', '/etc/hosts', 'ext4'],
  [1, '0:50', '/run/containerd/x/rootfs', 'overlay'],
  [101, '0:50', '/', 'overlay'],
  [1, '0:60', '/var/lib/kubelet/x', 'tmpfs'],
  [101, '0:60', '/secret', 'tmpfs'],
  [101, '0:70', '/proc', 'proc'],
  [102, '0:71', '/dev/shm', 'tmpfs'],
  [101, '0:71', '/dev/shm', 'tmpfs'],
  [201, '0:72', '/x', 'nfs'],
  [101, '0:72', '/x', 'nfs'],
  [1, '0:80', '/sys', 'sysfs'],
])
  devices.add(new RowReader(mounts), row);

const web = ['pod', 'pod-1', 'main-1'];
const podOne = ['pod', 'pod-1', null];
const db = ['pod', 'pod-2', 'main-3'];
const nodes = ['node', null, null];
const unknown = ['unknown', null, null];
const scanned = ['PID', 'COMM', 'EXIT_STATE'];

test.each<[string, string, string[], Cell[], (string | number | null)[]]>([
  ['its process', 'linux.lsof.Lsof', ['PID'], [11], [...web, 7]],
  ['its process, of another title', 'linux.library_list.LibraryList', ['Name', 'Pid'], ['web', 20], [...db, 1]],
  ['the sandbox, which has no name', 'linux.lsof.Lsof', ['PID'], [10], [...podOne, 1]],
  ['a process of the node', 'linux.lsof.Lsof', ['PID'], [1], [...nodes, 1]],
  ['a thread of the kernel', 'linux.kthreads.Kthreads', ['TID'], [2], [...nodes, 2]],
  ['a process that nobody listed', 'linux.lsof.Lsof', ['PID'], [99], [...unknown, null]],
  ['no number', 'linux.lsof.Lsof', ['PID'], ['11'], [...unknown, null]],
  ['a process whose cgroup could not be read', 'linux.lsof.Lsof', ['PID'], [50], [...unknown, null]],
  ["a virtual machine of Kata's beside its pod", 'linux.lsof.Lsof', ['PID'], [51], [...unknown, null]],
  ['a pid that two processes have', 'linux.lsof.Lsof', ['PID'], [60], [...unknown, null]],
  ['one of the two, by its address', 'linux.pslist.PsList', ['OFFSET (V)', 'PID'], ['0xb2', 60], [...db, null]],
  ['its own cgroup', 'processes', [...knownColumns('processes')], processRow({ pid: 11, offset: '0xa1' }), [...web, 7]],
  ['a thread of its process', 'linux.pscallstack.PsCallStack', ['TID', 'Comm'], [1_100, 'web'], [...web, 7]],
  ['a thread that nobody listed', 'linux.pscallstack.PsCallStack', ['TID', 'Comm'], [1_101, 'web'], [...unknown, null]],
  ['several processes of one pod', 'linux.malware.check_creds.Check_creds', ['PIDs'], ['11, 12'], [...podOne, null]],
  ['several processes of two pods', 'linux.malware.check_creds.Check_creds', ['PIDs'], ['11, 20'], [...unknown, null]],
  ['a process that lives', 'linux.psscan.PsScan', scanned, [11, 'web', 'TASK_RUNNING'], [...web, 7]],
  [
    'one that ended, whose pid is used again',
    'linux.psscan.PsScan',
    scanned,
    [11, 'sh', 'TASK_RUNNING'],
    [...unknown, null],
  ],
  ['one that ended', 'linux.psscan.PsScan', scanned, [11, 'web', 'EXIT_DEAD'], [...unknown, null]],
  ['the network of a pod', 'linux.ip.Addr', ['NetNS'], [100], [...podOne, null]],
  ['the network of a pod of one container', 'linux.ip.Link', ['NS'], [200], [...db, null]],
  ['the network of the node, which a pod uses too', 'linux.ip.Addr', ['NetNS'], [1], [...nodes, null]],
  ['a network of two pods', 'linux.ip.Addr', ['NetNS'], [400], [...unknown, null]],
  ['a network of a pod and a service', 'linux.malware.netfilter.Netfilter', ['Net NS'], [500], [...unknown, null]],
  ['a network without a process', 'linux.ip.Addr', ['NetNS'], [999], [...unknown, null]],
  [
    'a socket of a process that nobody listed, by its network',
    'sockets',
    ['pid', 'netNamespace'],
    [99, 200],
    [...db, null],
  ],
  ['a socket of a process, whatever its network', 'sockets', ['pid', 'netNamespace'], [11, 1], [...web, 7]],
  ['a mount of a container', 'linux.mountinfo.MountInfo', mounts, [101, '0:70', '/proc', 'proc'], [...web, null]],
  ['a mount of the node', 'linux.mountinfo.MountInfo', mounts, [1, '0:80', '/sys', 'sysfs'], [...nodes, null]],
  ['a mount namespace of two pods', 'linux.mountinfo.MountInfo', mounts, [400, '0:1', '/', 'x'], [...unknown, null]],
  ["a file of a container's root", 'linux.pagecache.Files', ['Device'], ['0:50'], [...web, null]],
  ['a file of a disk of the node', 'linux.pagecache.Files', ['Device'], ['254:1'], [...nodes, null]],
  [
    'a file of a volume that the node has mounted too',
    'linux.pagecache.Files',
    ['Device'],
    ['0:60'],
    [...unknown, null],
  ],
  [
    'a file of a volume that two containers of a pod have',
    'linux.pagecache.Files',
    ['Device'],
    ['0:71'],
    [...podOne, null],
  ],
  ['a file of a volume of two pods', 'linux.pagecache.Files', ['Device'], ['0:72'], [...unknown, null]],
  ['a file of what is not mounted', 'linux.pagecache.Files', ['Device'], ['0:99'], [...unknown, null]],
  ['a module', 'linux.lsmod.Lsmod', ['Module Name'], ['ext4'], [...nodes, null]],
  ['whatever a plugin says that nobody knows', 'linux.mine.Mine', ['What'], ['x'], [...unknown, null]],
])('a row of %s', (_what, plugin, columns, row, expected) => {
  const { place, ownPid } = new RowPlacer(plugin, columns, tasks, devices).place(row);
  expect([place.placement, place.pod, place.container, ownPid]).toEqual(expected);
});

test('a pod that the node did not name is told by its uid', () => {
  const { place } = new RowPlacer('linux.lsof.Lsof', ['PID'], tasks, devices).place([30]);
  expect(place).toMatchObject({ placement: 'pod', namespace: null, pod: null, podUid: podUid(3) });
});
