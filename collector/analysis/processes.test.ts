import { toBinary } from '@bufbuild/protobuf';
import { ProcessSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinProcesses, type PluginRows } from './processes.ts';

const id = 'a'.repeat(64);
const sandbox = 'b'.repeat(64);
const uid = '0aa1f7c2-6a0c-4b3e-9d55-0c7a1c1b0001';
const names = { podNamespace: 'shop', podName: 'cart-7', podUid: uid, containerName: 'web', containerId: id };
const columns = ['pid', 'ppid', 'comm', 'commandLine', 'cgroup', 'offset', 'kernelThread'];
const socketColumns = ['pid', 'fd', 'protocol', 'state', 'localAddress', 'localPort'];

function table(ofColumns: string[], rows: unknown[][]): PluginRows {
  async function* stream(): AsyncGenerator<unknown[], void, undefined> {
    yield* rows;
  }
  return { columns: ofColumns, rows: stream() };
}

const row = (pid: unknown, cgroup: unknown = '/', offset = `0x${pid}`) => [
  pid,
  1,
  'nc',
  'nc -l',
  cgroup,
  offset,
  false,
];

test.each<[string, string, object | undefined]>([
  ['a named container', `/kubepods/besteffort/pod${uid}/${id}`, { ...names }],
  [
    "the pod's sandbox, which the node does not name",
    `/kubepods/besteffort/pod${uid}/${sandbox}`,
    { ...names, containerName: '', containerId: sandbox },
  ],
  [
    'a pod that the node did not name',
    `/kubepods/besteffort/pod${'c'.repeat(32)}/${sandbox}`,
    { podUid: 'c'.repeat(32), containerId: sandbox, podNamespace: '', podName: '', containerName: '' },
  ],
  [
    "a named container's id in another pod: memory wins, the names stay away",
    `/kubepods/besteffort/pod${'c'.repeat(32)}/${id}`,
    { podUid: 'c'.repeat(32), containerId: id, podNamespace: '', podName: '', containerName: '' },
  ],
  ["the node's own", '/system.slice/sshd.service', undefined],
])('%s', async (_what, cgroup, placement) => {
  const [process] = await joinProcesses(table(columns, [row(7, cgroup)]), undefined, [names]);
  expect(process).toMatchObject({ pid: 7, ppid: 1, name: 'nc', commandLine: 'nc -l', cgroup, taskAddress: '0x7' });
  if (placement === undefined) expect(process?.placement).toBeUndefined();
  else expect(process?.placement).toMatchObject(placement);
});

test('sockets go to their process, each descriptor once', async () => {
  const sockets = table(socketColumns, [
    [7, 3, 'TCP', 'LISTEN', '0.0.0.0', 4444],
    [7, 3, 'TCP', 'LISTEN', '0.0.0.0', 4444],
    [8, 3, 'UDP', 'UNCONNECTED', '::', 53],
    [9, 3, 'TCP', 'LISTEN', 'of nobody', 1],
  ]);
  const joined = await joinProcesses(table(columns, [row(7), row(8)]), sockets, []);
  const listening = joined.map((process) => process.sockets.map(({ fd, localPort }) => [fd, localPort]));
  expect(listening).toEqual([[[3, 4444]], [[3, 53]]]);
});

test('a process that is listed twice counts once; two with one pid at two addresses are two', async () => {
  const rows = [row(7, '/', '0x1'), row(7, '/', '0x1'), row(7, '/', '0x2')];
  const joined = await joinProcesses(table(columns, rows), undefined, []);
  expect(joined.map(({ taskAddress }) => taskAddress)).toEqual(['0x1', '0x2']);
});

test('what could not be read is absent, never guessed', async () => {
  const rows = [[7, null, null, null, null, '0x1', null]];
  const [process] = await joinProcesses(table(columns, rows), undefined, [names]);
  expect(process).toMatchObject({ ppid: 0, name: '', cgroup: '', kernelThread: false });
  expect(process?.commandLine).toBeUndefined();
  expect(process?.placement).toBeUndefined();
});

test('an empty command line is not the same as one that could not be read', async () => {
  const [process] = await joinProcesses(table(columns, [[7, 1, 'x', '', '/', '0x1', false]]), undefined, []);
  expect(process?.commandLine).toBe('');
});

test('columns may come in any order and unknown ones are left alone', async () => {
  const [process] = await joinProcesses(table(['new', 'comm', 'pid'], [['?', 'sh', 7]]), undefined, []);
  expect(process).toMatchObject({ pid: 7, name: 'sh' });
});

test('cells of any kind give messages that can be sent', async () => {
  const cell = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.double(), fc.constant('\ud800'));
  const rows = fc.array(fc.array(cell, { minLength: 7, maxLength: 7 }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(rows, rows, async (processes, sockets) => {
      const valid = processes.map((cells, index) => [index, ...cells.slice(1)]);
      const own = sockets.map((cells) => [0, ...cells.slice(1)]);
      const joined = await joinProcesses(table(columns, [...processes, ...valid]), table(socketColumns, own), [names]);
      for (const process of joined) expect(toBinary(ProcessSchema, process).length).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 2_000 },
  );
});
