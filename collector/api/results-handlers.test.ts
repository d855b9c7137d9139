import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { EvidenceService } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { type ListRowsRequestSchema, ResultsService } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cgroupOf, containerOf, leaveResults, podUid, processesOf } from '../analysis/index/testing/results.ts';
import { AuditLog, type AuditRecord } from '../journal/audit-log.ts';
import { until } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
const image = limeImage(1, [1000]);
let rig: Rig;
let captureId: string;
const results = (): Calls<typeof ResultsService> => connect(ResultsService, rig.channel(parties.operator));
const list = (request: Omit<MessageInitShape<typeof ListRowsRequestSchema>, '$typeName'>) =>
  results().listRows({ captureId, plugin: 'files', ...request }, { deadlineMs: 120_000 });

async function captured(node: string): Promise<string> {
  const { agent, captureId: id } = await rig.ordered(node);
  const upload = await agent.open(id);
  await upload.chunks(image);
  await upload.finish(image);
  await rig.done(id);
  return id;
}

beforeAll(async () => {
  rig = await Rig.start(parties);
  captureId = await captured('n1');
  await leaveResults(
    join(rig.dataDir, 'evidence', captureId, 'analysis'),
    {
      processes: processesOf({
        pid: 11,
        nspid: 1,
        comm: 'web',
        kernelThread: false,
        commandLine: 'web --token=hunter2',
        cgroup: cgroupOf(1, 1),
      }),
      'linux.lsof.Lsof': { columns: ['PID', 'Path'], rows: Array.from({ length: 2_500 }, (_, fd) => [11, `/f/${fd}`]) },
      'linux.bash.Bash': { state: 'failed', reason: 'timeout' },
      'linux.envars.Envars': { columns: ['PID', 'KEY', 'VALUE'], rows: [[11, 'PASSWORD', 'hunter2']] },
    },
    { containers: [containerOf(1, 1)] },
  );
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  parties[Symbol.dispose]();
});

/** The audit records of the capture, read while no collector has the database. */
async function records(of = captureId): Promise<AuditRecord[]> {
  await rig.stopCollector();
  const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  const found = new AuditLog(database).of(of);
  database.close();
  await rig.startCollector();
  return found;
}

test('rows of a kind come with their pods, page by page', async () => {
  const paths: unknown[] = [];
  let pageToken = '';
  do {
    const { plugin, nextPageToken } = await list({ pageSize: 1_000, pageToken });
    expect(plugin).toMatchObject({ name: 'linux.lsof.Lsof', state: PluginState.ROWS, rowCount: 2_500n });
    for (const row of plugin?.rows ?? []) paths.push(row.values[1]?.kind.value);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  expect(paths).toEqual(Array.from({ length: 2_500 }, (_, fd) => `/f/${fd}`));
  const { plugin } = await list({ filter: "Path = '/f/7'" });
  expect(plugin?.columns.slice(2)).toEqual(['placement', 'namespace', 'pod', 'pod_uid', 'container', 'container_pid']);
  expect(plugin?.rows.map((row) => toJson(ListValueSchema, row))).toEqual([
    [11, '/f/7', 'pod', 'shop', 'pod-1', podUid(1), 'main-1', 1],
  ]);
});

test('without a size a page has a hundred rows', async () => {
  const { plugin } = await list({ podNamespace: 'shop', podName: 'pod-1', container: 'main-1', pid: 11 });
  expect(plugin?.rows).toHaveLength(100);
});

test('flags are flags', async () => {
  const { plugin } = await list({ plugin: 'processes' });
  const place = plugin?.columns.indexOf('kernelThread') ?? -1;
  expect(plugin?.rows[0]?.values[place]?.kind).toEqual({ case: 'boolValue', value: false });
});

test('a plugin that failed says why', async () => {
  const { plugin } = await list({ plugin: 'history' });
  expect(plugin).toMatchObject({ state: PluginState.FAILED, reason: 'timeout', rows: [] });
});

test.each([
  ['no plugin', { plugin: '' }, /plugin is missing/],
  ['a plugin that was not run', { plugin: 'maps' }, /no plugin linux\.proc\.Maps was run on this capture/],
  ['a pod without a namespace', { podName: 'x' }, /pod_namespace is missing/],
  ['a page that is too large', { pageSize: 1_001 }, /page_size 1001 is over 1000/],
  ['a filter that cannot be read', { filter: 'PID' }, /the filter cannot be read/],
  ['a token that is none', { pageToken: 'x' }, /page_token/],
])('refuses %s', async (_what, request, message) => {
  await expect(list(request)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(message),
  });
});

test('the results come as one file, which is what its header says, and which SQLite reads', async () => {
  const parts: Uint8Array[] = [];
  let told: { size: bigint; sha256: string } | undefined;
  for await (const { header, data } of results().downloadResults({ captureId })) {
    told ??= header;
    parts.push(data);
  }
  const file = Buffer.concat(parts);
  expect(told).toMatchObject({ size: BigInt(file.length), sha256: createHash('sha256').update(file).digest('hex') });
  const path = join(rig.dataDir, 'copy.sqlite');
  writeFileSync(path, file);
  const database = new DatabaseSync(path, { readOnly: true });
  expect(database.prepare('SELECT count(*) AS n FROM linux_lsof_Lsof').get()).toEqual({ n: 2_500 });
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  database.close();
});

test('values are masked, and no filter or order tells what they are, unless unmasking is asked for', async () => {
  const values = async (request: Parameters<typeof list>[0]) =>
    (await list({ plugin: 'env', ...request })).plugin?.rows.map((row) => row.values[2]?.kind.value);
  expect(await values({})).toEqual(['[masked]']);
  expect(await values({ filter: "VALUE ~ 'hunter'" })).toEqual([]);
  expect(await values({ unmask: true, filter: "VALUE ~ 'hunter'" })).toEqual(['hunter2']);
  expect(await values({})).toEqual(['[masked]']);
});

test('what GetAnalysis tells is masked too', async () => {
  const read = async (unmask: boolean) => {
    const request = { captureId, rowPlugins: ['linux.envars.Envars', 'processes'], unmask };
    return await rig.operator().getAnalysis(request, { deadlineMs: 120_000 });
  };
  const texts = ({ processes, plugins }: Awaited<ReturnType<typeof read>>) =>
    JSON.stringify([processes, plugins], (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  const told = await read(false);
  expect(texts(told)).not.toContain('hunter2');
  expect(told.processes[0]?.commandLine).toBe('web --token=[masked]');
  const unmasked = await read(true);
  expect(unmasked.processes[0]?.commandLine).toBe('web --token=hunter2');
  expect(texts(unmasked).split('hunter2')).toHaveLength(4);
});

test('who unmasks is on record as one who did', async () => {
  const before = (await records()).length;
  await list({ plugin: 'env', unmask: true });
  for await (const _ of results().downloadResults({ captureId, unmask: true }, { deadlineMs: 120_000 })) break;
  await rig.operator().getAnalysis({ captureId, unmask: true }, { deadlineMs: 120_000 });
  expect((await records()).slice(before)).toMatchObject([
    { action: 'rows_read', detail: { plugin: 'linux.envars.Envars', unmask: true } },
    { action: 'results_downloaded', detail: { unmask: true } },
    { action: 'analysis_read', detail: { unmask: true } },
  ]);
});

test('who reads is on record before anything leaves, with which rows; who is refused reads nothing', async () => {
  const before = (await records()).length;
  await list({ filter: "Path = '/f/7'", podNamespace: 'shop' });
  await expect(list({ plugin: 'x'.repeat(100) })).rejects.toMatchObject({ code: 'invalid_argument' });
  for await (const _ of results().downloadResults({ captureId })) break;
  expect((await records()).slice(before)).toMatchObject([
    {
      actor: 'operator/alice',
      action: 'rows_read',
      detail: { plugin: 'linux.lsof.Lsof', filter: "Path = '/f/7'", podNamespace: 'shop' },
    },
    { actor: 'operator/alice', action: 'results_downloaded', detail: { sha256: expect.any(String) } },
  ]);
});

test('without a record there is no row', async () => {
  await rig.stopCollector();
  const change = (sql: string) => {
    const database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
    database.exec(sql);
    database.close();
  };
  change(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
  await rig.startCollector();
  await expect(list({})).rejects.toMatchObject({ code: 'storage_failed' });
  const download = async () => {
    for await (const _ of results().downloadResults({ captureId })) throw new Error('a message came');
  };
  await expect(download()).rejects.toMatchObject({ code: 'storage_failed' });
  await rig.stopCollector();
  change('DROP TRIGGER refuse');
  await rig.startCollector();
});

test('a watch waits for an analysis that has not begun and ends with it; who watches rows is on record', async () => {
  const { agent, captureId: running } = await rig.ordered('n4');
  const told: (AnalysisState | undefined)[] = [];
  const watched = (async () => {
    for await (const { analysis } of results().watchAnalysis({ captureId: running, plugin: 'env', unmask: true }))
      told.push(analysis?.state);
  })();
  await until(() => told.length > 0);
  expect(told).toEqual([AnalysisState.PENDING]);
  const upload = await agent.open(running);
  await upload.chunks(image);
  await upload.finish(image);
  await watched;
  expect(told.at(-1)).toBe(AnalysisState.FAILED);
  expect((await rig.done(running)).analysis?.reason).toBe('symbols_missing');
  expect(await records(running)).toContainEqual(
    expect.objectContaining({
      actor: 'operator/alice',
      action: 'rows_read',
      detail: { plugin: 'linux.envars.Envars', live: true, unmask: true },
    }),
  );
});

test('of a capture that runs, and of one whose evidence is deleted, there are no rows', async () => {
  const { operator, captureId: running } = await rig.ordered('n2');
  await expect(list({ captureId: running })).rejects.toMatchObject({ code: 'capture_running' });
  await operator.cancelCapture({ captureId: running });
  const gone = await captured('n3');
  const outputDir = join(rig.dataDir, 'evidence', gone, 'analysis');
  await leaveResults(outputDir, { hiddenModules: { state: 'empty' } });
  await list({ captureId: gone, plugin: 'hidden-modules' });
  const evidence = connect(EvidenceService, rig.channel(parties.operator));
  await evidence.deleteEvidence({ captureId: gone, reason: 'test' });
  await expect(list({ captureId: gone })).rejects.toMatchObject({ code: 'evidence_deleted' });
});
