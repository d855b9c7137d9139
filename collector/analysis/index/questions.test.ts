import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { knownColumns } from '../plugins.ts';
import type { Cell } from '../protocol.ts';
import { buildIndex } from './build.ts';
import { cgroupOf, containerOf, leaveResults, type PluginLeft, processesOf } from './testing/results.ts';

const guide = readFileSync(join(import.meta.dirname, '../../../docs/results.md'), 'utf8');
const questions = [...guide.matchAll(/^\*\*(\d+)\. ([^\n]*)\*\*\n```sql\n(.*?)\n```$/gms)].map(
  ([, number, question, sql]) => [Number(number), question, sql ?? ''] as const,
);

const socket = (cells: Readonly<Record<string, Cell>>): Cell[] =>
  knownColumns('sockets').map((name) => cells[name] ?? null);
const plugin = (columns: string[], ...rows: Cell[][]): PluginLeft => ({ columns, rows });
const web = { pid: 11, nspid: 1, comm: 'web', exe: '/memfd:x (deleted)', uid: 0, startTime: '2026-11-30T12:00:00Z' };
const shared = { netNamespace: 1, mntNamespace: 1 };

/** A node on which each question finds something, with the columns that our plugins and Volatility's have. */
const node: Readonly<Record<string, PluginLeft>> = {
  processes: processesOf(
    { pid: 1, nspid: 1, comm: 'systemd', cgroup: '/init.scope', ...shared },
    { ...web, cgroup: cgroupOf(1, 1), netNamespace: 1, mntNamespace: 101 },
    { pid: 12, nspid: 1, comm: 'pause', cgroup: cgroupOf(1, 9), netNamespace: 2, mntNamespace: 102 },
    { pid: 13, comm: 'unread' },
  ),
  sockets: {
    columns: knownColumns('sockets'),
    rows: [
      socket({ pid: 11, family: 'AF_INET', protocol: 'TCP', state: 'LISTEN', localAddress: '0.0.0.0', localPort: 80 }),
      socket({ pid: 11, family: 'AF_INET', state: 'ESTABLISHED', remoteAddress: '203.0.113.7', remotePort: 443 }),
      socket({ pid: 11, family: 'AF_INET', state: 'ESTABLISHED', remoteAddress: '172.20.0.7', remotePort: 443 }),
      socket({ pid: 11, family: 'AF_UNIX', path: '/run/containerd/containerd.sock' }),
    ],
  },
  hiddenModules: plugin(['name', 'offset'], ['rootkit', '0xffff']),
  'linux.lsmod.Lsmod': plugin(
    ['Offset', 'Module Name', 'Code Size', 'Taints', 'Load Arguments', 'File Output'],
    ['0xffff', 'ext4', '0x1', '', '', null],
  ),
  'linux.lsof.Lsof': plugin(['PID', 'TID', 'Process', 'FD', 'Path'], [11, 11, 'web', 3, '/tmp/x (deleted)']),
  'linux.mountinfo.MountInfo': plugin(
    ['MNT_NS_ID', 'MOUNT ID', 'PARENT_ID', 'MAJOR:MINOR', 'ROOT', 'MOUNT_POINT', 'MOUNT_OPTIONS', 'FIELDS', 'FSTYPE'],
    [101, 1, 0, '254:1', '/etc', '/host', 'rw', '', 'ext4'],
    [101, 2, 0, '0:60', '/', '/run/secrets/kubernetes.io/serviceaccount', 'ro', '', 'tmpfs'],
  ),
  'linux.envars.Envars': plugin(['PID', 'PPID', 'COMM', 'KEY', 'VALUE'], [11, 1, 'web', 'API_TOKEN', 'x']),
  'linux.capabilities.Capabilities': plugin(
    ['Name', 'Tid', 'Pid', 'PPid', 'EUID', 'cap_effective'],
    ['web', 11, 11, 1, 0, 'all'],
  ),
  'linux.malware.malfind.Malfind': plugin(
    ['PID', 'Process', 'Start', 'End', 'Path', 'Protection'],
    [11, 'web', '0x1', '0x2', null, 'rwx'],
  ),
  'linux.proc.Maps': plugin(['PID', 'Process', 'Flags', 'File Path'], [11, 'web', 'r-x', '/tmp/x.so']),
  'linux.ptrace.Ptrace': plugin(
    ['Process', 'PID', 'TID', 'Tracer TID', 'Tracee TID', 'Flags'],
    ['web', 11, 11, 1, null, 'x'],
  ),
  'linux.bash.Bash': { state: 'failed', reason: 'timeout' },
};

let outputDir: string;
let database: DatabaseSync;
beforeAll(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-questions-'));
  const path = join(outputDir, 'results.sqlite');
  await leaveResults(outputDir, node, { containers: [containerOf(1, 1)] });
  await buildIndex(outputDir, path);
  database = new DatabaseSync(path, { readOnly: true });
});
afterAll(async () => {
  database.close();
  await rm(outputDir, { recursive: true });
});

test('there are twenty', () => {
  expect(questions.map(([number]) => number)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test.each(questions)('question %i has an answer: %s', (_number, _question, sql) => {
  expect(database.prepare(sql).all()).not.toEqual([]);
});

test('addresses of private networks are no answer to the third', () => {
  const [, , sql = ''] = questions[2] ?? [];
  expect(
    database
      .prepare(sql)
      .all()
      .map(({ remoteAddress }) => remoteAddress),
  ).toEqual(['203.0.113.7']);
});
