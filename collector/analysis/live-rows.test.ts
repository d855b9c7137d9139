import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ResultsIndex } from './index/results-index.ts';
import { cgroupOf, containerOf, leaveResults, podUid, processRow } from './index/testing/results.ts';
import { LiveAnalysis } from './live.ts';
import { LiveRows } from './live-rows.ts';
import { PluginRecord } from './plugin-record.ts';
import { knownColumns } from './plugins.ts';
import type { Cell } from './protocol.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'kcorder-live-'));
});
const records: PluginRecord[] = [];
afterEach(async () => {
  for (const record of records.splice(0)) await record.failRunning('over');
  await rm(outputDir, { recursive: true, force: true });
});

const processColumns = knownColumns('processes');
const web = { comm: 'web', kernelThread: false, cgroup: cgroupOf(1, 1), netNamespace: 40 };
const processes = [
  processRow({ pid: 1, offset: '0x1', comm: 'init', kernelThread: false, cgroup: '/init.scope', netNamespace: 10 }),
  processRow({ ...web, pid: 11, nspid: 1, offset: '0x11', commandLine: 'web --token=hunter2 --port 80' }),
  processRow({ pid: 12, offset: '0x12', comm: 'lost', kernelThread: false, netNamespace: 50 }),
];

/** Every plugin with something to mask, and others: their columns and rows. */
const all: Readonly<Record<string, { columns: readonly string[]; rows: readonly (readonly Cell[])[] }>> = {
  processes: { columns: processColumns, rows: processes },
  'linux.bash.Bash': { columns: ['PID', 'Process', 'Command'], rows: [[11, 'bash', 'export PASSWORD=hunter2']] },
  'linux.envars.Envars': {
    columns: ['PID', 'KEY', 'VALUE'],
    rows: [
      [11, 'PASSWORD', 'hunter2'],
      [1, 'EMPTY', null],
    ],
  },
  'linux.kmsg.Kmsg': { columns: ['facility', 'line'], rows: [['kern', 'password hunter2']] },
  'linux.malware.malfind.Malfind': {
    columns: ['PID', 'Hexdump', 'Disasm'],
    rows: [[11, 'hunter2', 'hunter2']],
  },
  'linux.psaux.PsAux': { columns: ['PID', 'ARGS'], rows: [[11, 'mysql -phunter2 db']] },
  'linux.vmaregexscan.VmaRegExScan': { columns: ['PID', 'Text', 'Hex'], rows: [[12, 'hunter2', 'hunter2']] },
  'linux.vmayarascan.VmaYaraScan': { columns: ['PID', 'Value'], rows: [[99, 'hunter2']] },
  sockets: { columns: ['pid', 'netNamespace', 'state', 'rowid', 'Pod'], rows: [[null, 40, 'LISTEN', 1.5, true]] },
  'linux.pagecache.Files': { columns: ['Device', 'FilePath'], rows: [['0:44', '/etc/passwd']] },
  'linux.lsmod.Lsmod': { columns: ['Module Name'], rows: [['kvm\ud800']] },
};

/** An analysis in whose middle somebody looks. */
function begun(plugins: readonly string[] = Object.keys(all), runDir = outputDir) {
  const record = new PluginRecord(runDir, plugins);
  records.push(record);
  const live = new LiveAnalysis({ containers: [containerOf(1, 1)], outputDir }, record);
  const find = async (plugin: string, rows: readonly (readonly Cell[])[] = all[plugin]?.rows ?? []): Promise<void> =>
    await record.take({ type: 'rows', plugin, columns: [...(all[plugin]?.columns ?? [])], rows });
  const end = async (plugin: string, rowCount: number): Promise<void> =>
    await record.take({ type: 'ended', plugin, state: 'rows', rowCount, seconds: 1, reason: '', warnings: [] });
  const start = async (plugin: string): Promise<void> => await record.take({ type: 'started', plugin });
  return { record, live, start, find, end };
}

async function taken(live: LiveAnalysis, rows: LiveRows, plugin: string) {
  const progress = live.plugin(plugin);
  if (progress === undefined) expect.unreachable();
  const found: (readonly Cell[])[] = [];
  for await (const batch of rows.take(progress)) found.push(...batch.rows);
  return found;
}

/** All rows of a plugin while it runs, `processes` having ended. */
async function liveRows(plugin: string, unmask: boolean): Promise<(readonly Cell[])[]> {
  const { live, start, find, end, record } = begun();
  for (const each of plugin === 'processes' ? [] : ['processes']) {
    await start(each);
    await find(each);
    await end(each, processes.length);
  }
  await start(plugin);
  await find(plugin);
  await using rows = new LiveRows(live, plugin, unmask);
  const found = await taken(live, rows, plugin);
  await record.failRunning('over');
  return found;
}

test.each([true, false])(
  'rows are those that are listed when all has ended, but for places that are not known (unmasked: %s)',
  async (unmask) => {
    const live = new Map<string, (readonly Cell[])[]>();
    for (const plugin of Object.keys(all)) live.set(plugin, await liveRows(plugin, unmask));
    await leaveResults(outputDir, all, { containers: [containerOf(1, 1)] });
    const results = new ResultsIndex();
    for (const plugin of Object.keys(all)) {
      const query = { plugin, conditions: [], namespace: '', pod: '', container: '', pid: undefined, order: undefined };
      const { rows } = await results.page(
        outputDir,
        { ...query, unmask, pageSize: 100, pageToken: '' },
        new AbortController().signal,
      );
      const listed = rows.map((row) =>
        row.at(-6) === 'unknown' ? [...row.slice(0, -6), ...Array(6).fill(null)] : row,
      );
      expect(live.get(plugin), plugin).toEqual(listed);
    }
    expect(JSON.stringify([...live]).includes('hunter2')).toBe(unmask);
    await results.close();
  },
);

const places = (rows: readonly (readonly Cell[])[]): unknown[] => rows.map((row) => row.slice(-6));
const inPod = ['pod', 'shop', 'pod-1', podUid(1), 'main-1', 1];
const nowhere = Array(6).fill(null);

test('rows are placed once the processes are known, and processes at once', async () => {
  const { live, start, find, end } = begun();
  await start('processes');
  await start('linux.psaux.PsAux');
  await start('linux.lsmod.Lsmod');
  for (const plugin of ['processes', 'linux.psaux.PsAux', 'linux.lsmod.Lsmod']) await find(plugin);
  await using table = new LiveRows(live, 'processes', false);
  await using rows = new LiveRows(live, 'linux.psaux.PsAux', false);
  await using modules = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  expect(places(await taken(live, table, 'processes'))).toEqual([['node', ...Array(5).fill(null)], inPod, nowhere]);
  expect(places(await taken(live, rows, 'linux.psaux.PsAux'))).toEqual([nowhere]);
  expect(places(await taken(live, modules, 'linux.lsmod.Lsmod'))).toEqual([['node', ...Array(5).fill(null)]]);
  await end('processes', processes.length);
  await find('linux.psaux.PsAux');
  expect(places(await taken(live, rows, 'linux.psaux.PsAux'))).toEqual([inPod]);
});

test('rows that are added are placed by the processes of the earlier results', async () => {
  const containers = [containerOf(1, 1)];
  await leaveResults(outputDir, { processes: { columns: processColumns, rows: processes } }, { containers });
  const runDir = join(outputDir, 'added-1');
  await mkdir(runDir);
  const { live, start, find } = begun(['linux.psaux.PsAux'], runDir);
  await start('linux.psaux.PsAux');
  await find('linux.psaux.PsAux');
  await using rows = new LiveRows(live, 'linux.psaux.PsAux', false);
  expect(places(await taken(live, rows, 'linux.psaux.PsAux'))).toEqual([inPod]);
});

test('a row that is longer than what is read at once comes whole', async () => {
  const { live, start, find } = begun();
  const long = 'x'.repeat(300_000);
  await start('linux.lsmod.Lsmod');
  await find('linux.lsmod.Lsmod', [['short'], [long], ['last']]);
  await using rows = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  expect((await taken(live, rows, 'linux.lsmod.Lsmod')).map(([name]) => name)).toEqual(['short', long, 'last']);
});

test('rows are read to the end after their plugin has ended, and said to be gone when they are', async () => {
  const { live, start, find, end } = begun();
  await start('linux.lsmod.Lsmod');
  await find('linux.lsmod.Lsmod', [['one']]);
  await using slow = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  await using late = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  await using tooLate = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  expect(await taken(live, slow, 'linux.lsmod.Lsmod')).toHaveLength(1);
  await find('linux.lsmod.Lsmod', [['two']]);
  await end('linux.lsmod.Lsmod', 2);
  expect(await taken(live, late, 'linux.lsmod.Lsmod')).toHaveLength(2);
  await rm(outputDir, { recursive: true });
  expect(await taken(live, slow, 'linux.lsmod.Lsmod')).toHaveLength(1);
  await expect(taken(live, tooLate, 'linux.lsmod.Lsmod')).rejects.toMatchObject({ code: 'capture_running' });
});

test('a plugin whose rows are being put in their place runs until they are', async () => {
  const { live, start, find, end } = begun();
  await start('linux.lsmod.Lsmod');
  await find('linux.lsmod.Lsmod', [['one']]);
  const ended = end('linux.lsmod.Lsmod', 1);
  expect(live.plugin('linux.lsmod.Lsmod')).toMatchObject({ state: 'running', rowCount: 1 });
  await ended;
  expect(live.plugin('linux.lsmod.Lsmod')).toMatchObject({ state: 'rows', rowCount: 1 });
});

test('of a plugin that has failed there are no more rows', async () => {
  const { live, record, start, find } = begun();
  await start('linux.lsmod.Lsmod');
  await find('linux.lsmod.Lsmod', [['one']]);
  await using rows = new LiveRows(live, 'linux.lsmod.Lsmod', false);
  expect(await taken(live, rows, 'linux.lsmod.Lsmod')).toHaveLength(1);
  await find('linux.lsmod.Lsmod', [['two']]);
  await record.fail('linux.lsmod.Lsmod', 'signal SIGKILL');
  expect(await taken(live, rows, 'linux.lsmod.Lsmod')).toEqual([]);
});
