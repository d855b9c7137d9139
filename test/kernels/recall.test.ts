import { expect, test } from 'vitest';
import type { OracleProcess } from '../story/oracle.ts';
import { type ListedProcess, recallOf } from './recall.ts';

const uid = '11111111-2222-3333-4444-555555555555';
const id = 'ab'.repeat(32);
const scope = `/kubepods.slice/kubepods-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`;
const lived = (pid: number, name: string, cgroup = '/'): OracleProcess => ({
  ...{ pid, name, cgroup, ppid: 1, startTicks: '1', commandLine: '' },
});
const startTime = '2026-01-01T00:00:00Z';
const placement = { podUid: uid, containerId: id, podName: 'web' };

test.each<[string, OracleProcess, ListedProcess[], object]>([
  ['in its pod', lived(7, 'nc', scope), [{ pid: 7, name: 'nc', startTime, placement }], { inPods: 1 }],
  ['of the node', lived(1, 'init'), [{ pid: 1, name: 'init', startTime }], { inPods: 0 }],
  ['missing', lived(7, 'nc'), [{ pid: 8, name: 'nc', startTime }], { missing: ['7 nc'] }],
  ['missing, with another in its place', lived(7, 'nc'), [{ pid: 7, name: 'sh', startTime }], { missing: ['7 nc'] }],
  [
    'outside of its pod',
    lived(7, 'nc', scope),
    [{ pid: 7, name: 'nc', startTime }],
    { inPods: 1, misplaced: ['7 nc'] },
  ],
  [
    'in a pod without being of it',
    lived(7, 'nc'),
    [{ pid: 7, name: 'nc', startTime, placement }],
    { misplaced: ['7 nc'] },
  ],
  [
    'in a pod without a name',
    lived(7, 'nc', scope),
    [{ pid: 7, name: 'nc', startTime, placement: { ...placement, podName: '' } }],
    { inPods: 1, misplaced: ['7 nc'] },
  ],
  ['without a start time', lived(1, 'init'), [{ pid: 1, name: 'init' }], { undated: ['1 init'] }],
])('a process that is %s counts as such', (_sentence, process, listed, expected) => {
  const all = { lived: 1, missing: [], inPods: 0, misplaced: [], undated: [] };
  expect(recallOf([process], listed)).toEqual({ ...all, ...expected });
});
