import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnalysisReport } from './analysis.ts';
import { findingsOf, type Suspect } from './findings.ts';

const report: AnalysisReport = {
  captureId: 'c-1',
  state: 'done',
  reason: '',
  detail: '',
  kernelMismatch: false,
  versions: {},
  isolation: { network: 'none', endsWithCollector: true },
  plugins: [],
  containers: [],
  diagnostics: [],
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
};

const process: Suspect = {
  pid: 7,
  name: 'nginx',
  kernelThread: false,
  executable: '/usr/sbin/nginx',
  commandLine: 'nginx -g x',
  inTaskList: true,
  inPidTable: true,
  hidden: false,
};
const placement = {
  $typeName: 'kcorder.v1.Placement',
  podUid: 'u-1',
  containerId: 'ab',
  podNamespace: 'shop',
  podName: 'web-1',
  containerName: 'web',
} as const;

test.each([
  ['an ordinary program', {}, undefined],
  ['a thread of the kernel', { name: 'kworker/0:1', kernelThread: true, executable: '' }, undefined],
  ['a process without a program that was read', { name: 'kworker/0:1', executable: '' }, undefined],
  ['a path that smear has broken', { executable: '<potentially smeared> /x//y (deleted)' }, undefined],
  ['the command [ of a shell script', { name: '[', executable: '/usr/bin/[', commandLine: '[ -f /etc/x ]' }, undefined],
  [
    'a program of the node that an upgrade has replaced',
    { executable: '/usr/sbin/nginx (deleted)' },
    'info executable_deleted',
  ],
  ['a program of a pod whose file is gone', { executable: '/app (deleted)', placement }, 'warning executable_deleted'],
  ['a program that was never a file', { executable: '/memfd:x (deleted)' }, 'warning executable_in_memory'],
  [
    'the copy that runc makes of itself',
    { executable: '/memfd:runc_cloned:/proc/self/exe (deleted)' },
    'info executable_in_memory',
  ],
  ['a file in a folder with such a name', { executable: '/memfd:x' }, undefined],
  ['a program in shared memory', { executable: '/dev/shm/.x' }, 'warning executable_in_shared_memory'],
  ['a program with the name of a thread of the kernel', { name: 'kworker/u8:2' }, 'warning kernel_thread_impersonated'],
  [
    'a program that writes such a name over its arguments',
    { commandLine: '[kthreadd]' },
    'warning kernel_thread_impersonated',
  ],
  ['a program whose name only begins so', { name: 'kworkers-api' }, undefined],
  ['a process of a kernel whose table of PIDs is not known', { inPidTable: undefined }, undefined],
  ['a process that may have ended meanwhile', { inTaskList: false }, 'info hidden_process'],
  ['a process that may have begun meanwhile', { inPidTable: false }, 'info hidden_process'],
  ['a process that something hides', { inTaskList: false, hidden: true }, 'critical hidden_process'],
  [
    'a thread of the kernel that something hides',
    { kernelThread: true, inPidTable: false, hidden: true },
    'critical hidden_process',
  ],
] satisfies [string, Partial<Suspect>, string | undefined][])(
  'of %s is found what there is',
  (_sentence, change, expected) => {
    const [found] = findingsOf(report, [{ ...process, ...change }], []);
    expect(found && `${found.severity} ${found.rule}`).toBe(expected);
  },
);

test('the gravest come first, and a finding says which process of which pod', () => {
  const gone = { ...process, executable: '/app (deleted)' };
  const unlisted = { ...process, inTaskList: false };
  const found = findingsOf(
    { ...report, kernelMismatch: true },
    [
      unlisted,
      { ...unlisted, hidden: true, placement },
      gone,
      { ...gone, placement },
      { ...gone, placement: { ...placement, podName: '' } },
    ],
    ['diamorphine\u202e'],
  );
  expect(found.map(({ severity, detail }) => [severity, detail])).toEqual([
    ['critical', expect.stringContaining('is not the one that the node told')],
    [
      'critical',
      expect.stringMatching(/^process 7 \(nginx\) of pod shop\/web-1 is not in the kernel's list of tasks: it lives/),
    ],
    ['critical', 'the kernel has a module loaded that it does not list: diamorphine\ufffd'],
    ['warning', 'process 7 (nginx) of pod shop/web-1 runs a program whose file is gone: /app (deleted)'],
    ['warning', 'process 7 (nginx) of pod u-1 runs a program whose file is gone: /app (deleted)'],
    ['info', 'process 7 (nginx) of the node runs a program whose file is gone: /app (deleted)'],
    ['info', expect.stringContaining("is not in the kernel's list of tasks: it began or ended")],
  ]);
});

test('of thousands of the same, fifty are told and the rest is counted', () => {
  const many = Array.from({ length: 3000 }, (_, pid) => ({ ...process, pid, executable: '/app (deleted)' }));
  const found = findingsOf(report, many, []);
  expect([found.length, found.at(-1)?.detail]).toEqual([50, 'and 2951 more of the same: see the rows of the analysis']);
  expect(findingsOf(report, many.slice(0, 50), []).at(-1)?.detail).toContain('process 49');
});

test('whatever a process calls itself, a detail is one line of bounded length without its arguments', () => {
  const odd = fc.string({ unit: 'binary', maxLength: 300 });
  fc.assert(
    fc.property(odd, odd, (name, path) => {
      const hostile = {
        ...process,
        name,
        executable: `/dev/shm/${path}`,
        commandLine: '[x] --password=hush',
        placement: { ...placement, podName: name },
      };
      for (const { detail } of findingsOf(report, [hostile], [name])) {
        expect(detail).not.toMatch(/(?!\ufffd)[\p{C}\p{Zl}\p{Zp}]|hush/u);
        expect(detail.length).toBeLessThan(500);
      }
    }),
  );
});
