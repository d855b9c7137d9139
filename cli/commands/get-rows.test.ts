import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import { PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { GetAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import {
  type ListRowsRequest,
  type ListRowsResponse,
  ListRowsResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { captureOf } from '../fixtures/lab-capture.ts';

const captures = [
  captureOf(),
  captureOf({ id: 'running', analysis: { state: AnalysisState.RUNNING } }),
  captureOf({ id: 'partial', outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died', detail: '' } }),
];
const id = captures[0]?.id ?? '';
const columns = ['PID', 'Path', 'placement', 'namespace', 'pod', 'pod_uid', 'container', 'container_pid'];
const text = (value: string) => ({ kind: { case: 'stringValue' as const, value } });
const number = (value: number) => ({ kind: { case: 'numberValue' as const, value } });
const none = { kind: { case: 'nullValue' as const, value: 0 as const } };
const rows = [
  { values: [number(11), text('/a'), text('pod'), text('shop'), text('web-0'), text('u-1'), text('main'), number(1)] },
  { values: [number(1), text('/b\u001b[2J'), text('node'), none, none, none, none, number(1)] },
  { values: [number(12), none, text('pod'), none, none, text('u-2'), none, none] },
  { values: [number(13), text('/c'), text('unknown'), none, none, none, none, none] },
];
const lsof = { name: 'linux.lsof.Lsof', state: PluginState.ROWS, rowCount: 4n, columns };

let certificates: Certificates;
let collector: LoopbackCollector;
const asked: ListRowsRequest[] = [];
let answer: (request: ListRowsRequest) => MessageInitShape<typeof ListRowsResponseSchema>;
const kcorder = (...line: string[]) =>
  runCommand(line, {
    environment: { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir },
  });

beforeAll(async () => {
  certificates = makeCertificates();
  collector = await startCollector(certificates, {
    getCapture: async ({ captureId }) => {
      const capture = captures.find((each) => each.id === captureId);
      if (capture === undefined) throw new Fault('capture_unknown', `no capture ${captureId}`);
      return { capture };
    },
    getAnalysis: async () =>
      create(GetAnalysisResponseSchema, { containers: [{ podNamespace: 'shop', podName: 'web-0' }] }),
    listRows: async (request): Promise<ListRowsResponse> => {
      asked.push(request);
      return create(ListRowsResponseSchema, answer(request) as object);
    },
  });
});
afterEach(() => void asked.splice(0));
afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
});

/** Two rows a page. */
const paged: typeof answer = ({ pageToken }) => {
  const at = Number(pageToken);
  const nextPageToken = at + 2 < rows.length ? String(at + 2) : '';
  return { plugin: { ...lsof, rows: rows.slice(at, at + 2) }, nextPageToken };
};

test('all pages of a kind, each row with its pod', async () => {
  answer = paged;
  const { exit, stdout, stderr } = await kcorder('get', 'files', id);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(stdout).toBe(
    [
      'NAMESPACE  POD        CONTAINER  PID  PATH',
      'shop       web-0      main       11   /a',
      '-          (node)     -          1    /b\\x1b[2J',
      '-          u-2        -          12   -',
      '-          (unknown)  -          13   /c',
      '',
    ].join('\n'),
  );
  expect(asked.map(({ plugin, pageSize, pageToken }) => [plugin, pageSize, pageToken])).toEqual([
    ['linux.lsof.Lsof', 1_000, ''],
    ['linux.lsof.Lsof', 1_000, '2'],
  ]);
});

test.each([
  ['linux.vmaregexscan.VmaRegExScan', 'linux.vmaregexscan.VmaRegExScan'],
  ['files', 'linux.lsof.Lsof'],
])('rows of any plugin, by its name or kind: %s', async (word, plugin) => {
  answer = paged;
  const { exit } = await kcorder('get', 'rows', id, '--plugin', word, '--pod', 'shop/web-0');
  expect(exit).toBe(0);
  expect(asked[0]).toMatchObject({ plugin, podNamespace: 'shop', podName: 'web-0' });
});

test.each([
  [['env'], '[masked] stands for what may be a secret. --unmask shows it to analysts, and is in the audit log.\n'],
  [['env', '--unmask'], ''],
])('what is masked is told with how it is shown: %j', async ([kind = '', ...flags], note) => {
  const values = [number(11), text('TOKEN=[masked]'), ...Array.from({ length: 6 }, () => none)];
  answer = () => ({ plugin: { ...lsof, rows: [{ values }] } });
  const { exit, stderr } = await kcorder('get', kind, id, ...flags);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: note });
});

test.each([
  ['shop/web-0', 0, /^No such rows of plugin linux\.lsof\.Lsof/],
  ['shop/wbe-0', 1, /no trace of pod shop\/wbe-0 in the image/],
])('no rows of pod %s end with %i', async (pod, exit, sentence) => {
  answer = () => ({ plugin: { ...lsof, rowCount: 0n } });
  const got = await kcorder('get', 'files', id, '--pod', pod);
  expect(got.exit).toBe(exit);
  expect(got.stderr).toMatch(sentence);
});

test('wide, every column as it came', async () => {
  answer = paged;
  const { stdout } = await kcorder('get', 'files', id, '-o', 'wide');
  expect(stdout).toMatch(/^PID +PATH +PLACEMENT +NAMESPACE +POD +POD_UID +CONTAINER +CONTAINER_PID\n/);
});

test('a line of JSON for each row', async () => {
  answer = paged;
  const { stdout } = await kcorder('get', 'files', id, '-o', 'jsonl');
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    ...{ PID: 11, Path: '/a', placement: 'pod', namespace: 'shop', pod: 'web-0', pod_uid: 'u-1' },
    ...{ container: 'main', container_pid: 1 },
  });
});

test('what narrows the rows goes to the collector', async () => {
  answer = paged;
  const line = [
    '--pod',
    'shop/web-0',
    '--container',
    'main',
    '--pid',
    '0',
    '--filter',
    "Path ~ 'x'",
    '--sort-by',
    'PID desc',
    '--unmask',
  ];
  const { stdout } = await kcorder('get', 'sockets', id, ...line, '--limit', '1', '-o', 'json');
  expect(JSON.parse(stdout)).toHaveLength(1);
  expect(asked).toMatchObject([
    {
      ...{ plugin: 'sockets', podNamespace: 'shop', podName: 'web-0', container: 'main', pid: 0, pageSize: 1 },
      ...{ filter: "Path ~ 'x'", orderBy: 'PID desc', unmask: true },
    },
  ]);
});

test.each([
  ['found nothing', { state: PluginState.EMPTY }, 0, /^No such rows of plugin linux\.lsof\.Lsof in capture/],
  ['has no such rows', { state: PluginState.ROWS, columns }, 0, /^No such rows of plugin/],
  [
    'failed',
    { state: PluginState.FAILED, reason: 'timeout' },
    1,
    /^FAILED: linux\.lsof\.Lsof: timeout\. Raise KCORDER_PLUGIN_SECONDS of the collector, .*\n$/,
  ],
  [
    'could not read all',
    { state: PluginState.ROWS, columns, rows, warnings: ['pid 3: \u001b[2J'] },
    0,
    /^warning: linux\.lsof\.Lsof: pid 3: \\x1b\[2J\n$/,
  ],
])('a plugin that %s says so', async (_what, plugin, code, message) => {
  answer = () => ({ plugin: { ...lsof, ...plugin } });
  const { exit, stderr, stdout } = await kcorder('get', 'files', id, '-o', 'json');
  expect(exit).toBe(code);
  expect(stderr).toMatch(message);
  expect(JSON.parse(stdout)).toEqual(expect.any(Array));
});

test('rows of a partial image end with its exit code', async () => {
  answer = paged;
  const { exit, stderr } = await kcorder('get', 'files', 'partial');
  expect(exit).toBe(3);
  expect(stderr).toMatch(/PARTIAL image of capture partial: acquirer_died/);
});

test('of an analysis that runs there are none yet', async () => {
  const { exit, stderr } = await kcorder('get', 'files', 'running');
  expect(exit).toBe(1);
  expect(stderr).toMatch(/the analysis of capture running has not ended/);
});

test.each([
  [
    'a form that is none of rows',
    ['get', 'files', id, '-o', 'yaml'],
    /Allowed choices are table, wide, json, jsonl, csv/,
  ],
  [
    'a form of rows where there are none',
    ['get', 'captures', '-o', 'jsonl'],
    /Allowed choices are table, wide, json, yaml/,
  ],
  ['a pod without a namespace', ['get', 'files', id, '--pod', 'web-0'], /Give NAMESPACE\/NAME/],
  ['a pid that is none', ['get', 'files', id, '--pid', 'x'], /Give a whole number/],
])('refuses %s', async (_what, line, message) => {
  const { exit, stderr } = await kcorder(...line);
  expect(exit).toBe(2);
  expect(stderr).toMatch(message);
});
