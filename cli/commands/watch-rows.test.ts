import { create, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { type PluginResult, PluginResultSchema, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

async function kcorder(line: string, handlers: Handlers, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  const options = ['--collector', collector.address, '--tls-dir', certificates.operatorDir];
  return await runCommand([...line.split(' '), ...options], surroundings);
}

const hostileText = '\x1b[2J\r\nevil\u202e';
const place = ['placement', 'namespace', 'pod', 'pod_uid', 'container', 'container_pid'];
const inPod = ['pod', 'shop', 'web-0', 'uid', 'nginx', 1];
const nowhere = [null, null, null, null, null, null];

const plugin = (name: string, state: PluginState, changes: Partial<PluginResult> = {}): PluginResult =>
  create(PluginResultSchema, { name, state, ...changes } as PluginResult);
const rowsOf = (...rows: readonly JsonValue[][]): PluginResult =>
  plugin('sockets', PluginState.RUNNING, {
    columns: ['pid', 'state', ...place],
    rows: rows.map((row) => fromJson(ListValueSchema, row)),
  });
const running = { analysis: { state: AnalysisState.RUNNING } };
const ended = (state: PluginState, changes: Partial<PluginResult> = {}) => ({
  plugins: [plugin('sockets', state, { seconds: 1, ...changes })],
});

test('rows are printed as they come, with their pods as far as they are known', async () => {
  const asked: unknown[] = [];
  const ran = await kcorder('watch c1 --plugin sockets --unmask', {
    watchAnalysis: async function* ({ captureId, plugin: name, unmask }) {
      asked.push([captureId, name, unmask]);
      yield { analysis: { state: AnalysisState.PENDING } };
      yield running;
      yield { plugins: [plugin('processes', PluginState.ROWS), plugin('sockets', PluginState.RUNNING)] };
      yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
      yield { rows: rowsOf([12, hostileText, ...inPod], [13, 'CLOSE', 'node', null, null, null, null, null]) };
      yield ended(PluginState.ROWS, { rowCount: 3n });
    },
  });
  expect(asked).toEqual([['c1', 'sockets', true]]);
  expect(ran.stdout.split('\n').map((line) => line.trimEnd().split(/ {2,}/).slice(0, 4))).toEqual([
    ['NAMESPACE', 'POD', 'CONTAINER', 'PID'],
    ['-', '-', '-', '11'],
    expect.arrayContaining(['shop']),
    expect.arrayContaining(['-', '(node)']),
    [''],
  ]);
  expect([...ran.stdout].filter((character) => character < ' ' && character !== '\n')).toEqual([]);
  expect(ran.stderr).toBe('The analysis of capture c1 has not begun: waiting for it.\n');
  expect(ran.exit).toBe(0);
});

test('a row is there before the next one', async () => {
  const gate = Promise.withResolvers<void>();
  const written: string[] = [];
  const done = kcorder(
    'watch c1 --plugin sockets',
    {
      watchAnalysis: async function* () {
        yield running;
        yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
        await gate.promise;
        yield ended(PluginState.ROWS, { rowCount: 1n });
      },
    },
    {
      printed: (text) => {
        written.push(text);
        if (text.includes('LISTEN')) gate.resolve();
      },
    },
  );
  expect((await done).exit).toBe(0);
  expect(written.join('')).toContain('11');
});

test.each([
  ['json', '[\n  {"pid":11,'],
  ['jsonl', '{"pid":11,"state":"LISTEN","placement":null,'],
  ['csv', 'pid,state,placement,'],
])('rows are printed as %s', async (form, begin) => {
  const ran = await kcorder(`watch c1 --plugin sockets -o ${form}`, {
    watchAnalysis: async function* () {
      yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
      yield ended(PluginState.ROWS, { rowCount: 1n });
    },
  });
  expect(ran.stdout.startsWith(begin)).toBe(true);
  expect(ran.exit).toBe(0);
});

test.each([
  [
    'failed',
    PluginState.FAILED,
    'signal SIGKILL',
    1,
    /sockets has failed: the 1 row above are withdrawn, .*\nFAILED: sockets: signal SIGKILL\. A crafted image can do this/,
  ],
  ['found nothing', PluginState.EMPTY, '', 0, /^sockets found nothing\.\n$/],
] as const)('a plugin that %s says so', async (_what, state, reason, exit, stderr) => {
  const ran = await kcorder('watch c1 --plugin sockets', {
    watchAnalysis: async function* () {
      yield running;
      if (exit === 1) yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
      yield ended(state, { reason });
    },
  });
  expect(ran.stderr).toMatch(stderr);
  expect(ran.exit).toBe(exit);
});

test('of an analysis that has ended the rows are listed', async () => {
  const ran = await kcorder('watch c1 --plugin files', {
    watchAnalysis: async function* () {
      yield { analysis: { state: AnalysisState.DONE } };
    },
    getCapture: async () => ({ capture: captureOf() }),
    listRows: async ({ plugin: name }) => ({
      plugin: { ...rowsOf([11, 'LISTEN', ...inPod]), name, state: PluginState.ROWS },
    }),
  });
  expect(ran.stdout).toMatch(/shop +web-0 +nginx +11/);
  expect(ran.exit).toBe(0);
});

test('of one that has failed there are none', async () => {
  const ran = await kcorder('watch c1 --plugin files', {
    watchAnalysis: async function* () {
      yield { analysis: { state: AnalysisState.FAILED, reason: 'symbols_missing', detail: 'no symbols' } };
    },
  });
  expect(ran.stderr).toBe(
    'kcorder: no rows of linux.lsof.Lsof: the analysis of capture c1 is FAILED: symbols_missing: no symbols.\n',
  );
  expect(ran.exit).toBe(1);
});

test('a caller who watches elsewhere is told so at once', async () => {
  const ran = await kcorder('watch c1 --plugin sockets', {
    // biome-ignore lint/correctness/useYield: a stream that is refused has no messages.
    watchAnalysis: async function* () {
      throw new Fault('resource_exhausted', 'the rows were not sent', { retryAfterMs: 5_000 });
    },
  });
  expect(ran.stderr).toBe('kcorder: the rows were not sent.\n');
  expect(ran.exit).toBe(1);
});

test.each([
  { sentence: 'waits on with another', answered: 2, streams: 3 },
  { sentence: 'ends when it is not let in again', answered: 1, streams: 2 },
  { sentence: 'ends at once when it never was', answered: 0, streams: 1 },
])('a stream whose token ends $sentence', async ({ answered, streams: wanted }) => {
  let streams = 0;
  const ran = await kcorder('watch c1 --plugin sockets', {
    watchAnalysis: async function* () {
      streams += 1;
      if (streams <= answered) yield running;
      throw new Fault('unauthenticated', 'the API server does not vouch for this token');
    },
  });
  expect(streams).toBe(wanted);
  expect(ran.stderr).toMatch(/does not vouch for this token\.\n$/);
  expect(ran.exit).toBe(1);
});

test('a stream that breaks is opened again before its first row, and not after it', async () => {
  let streams = 0;
  const ran = await kcorder('watch c1 --plugin sockets', {
    watchAnalysis: async function* () {
      streams += 1;
      yield running;
      if (streams > 1) yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
      throw new Fault('unavailable', 'the collector is ending');
    },
  });
  expect(streams).toBe(2);
  expect(ran.stderr).toMatch(
    /^warning: the collector is ending; trying again\nkcorder: the stream of rows of sockets broke after 1 row: the collector is ending\. Run the command again/,
  );
  expect(ran.exit).toBe(1);
});

test('a stream that ends without a word is no end of the rows', async () => {
  let streams = 0;
  const ran = await kcorder('watch c1 --plugin sockets', {
    watchAnalysis: async function* () {
      streams += 1;
      yield running;
      if (streams === 2) yield { rows: rowsOf([11, 'LISTEN', ...nowhere]) };
    },
  });
  expect(streams).toBe(2);
  expect(ran.stderr).toMatch(
    /trying again\n.*broke after 1 row: the collector ended the stream before the analysis had ended/,
  );
  expect(ran.exit).toBe(1);
});

test.each([
  ['watch c1 --unmask', /--unmask is about rows: give --plugin too/],
  ['watch c1 -o csv', /-o csv is for rows/],
  ['watch c1 --plugin sockets -o yaml', /rows are not printed as YAML/],
])('kcorder %s is a wrong command line', async (line, message) => {
  const ran = await kcorder(line, {});
  expect(ran.stderr).toMatch(message);
  expect(ran.exit).toBe(2);
});

const analyzing = captureOf({ phase: Phase.ANALYZING, analysis: { state: AnalysisState.RUNNING } });

/** A capture that is analyzed, and the plugins of its analysis. */
function analysisHandlers(): Handlers {
  const over = Promise.withResolvers<void>();
  return {
    watchCapture: async function* () {
      yield { capture: analyzing };
      await over.promise;
      yield { capture: captureOf() };
    },
    watchAnalysis: async function* () {
      yield running;
      yield { plugins: [plugin('processes', PluginState.WAITING), plugin('sockets', PluginState.WAITING)] };
      yield { plugins: [plugin('processes', PluginState.RUNNING, { rowCount: 12_034n })] };
      yield { plugins: [plugin('processes', PluginState.ROWS, { rowCount: 12_034n, seconds: 0.41 })] };
      yield { plugins: [plugin('sockets', PluginState.FAILED, { reason: `signal SIGKILL${hostileText}` })] };
      over.resolve();
      yield { analysis: { state: AnalysisState.DONE } };
    },
    getAnalysis: async () => analysisOf(),
  };
}

test.each(['watch 0193a5c2d7', 'analyze 0193a5c2d7 --wait'])(
  'kcorder %s tells of each plugin that begins and ends, a line each',
  async (line) => {
    const handlers = { ...analysisHandlers(), analyzeCapture: async () => ({ capture: analyzing }) };
    const ran = await kcorder(line, handlers);
    expect(ran.stderr).toMatch(/processes {2}running {2}12,034 rows\n(.*\n)*processes {2}12,034 rows {2}0\.4s\n/);
    expect(ran.stderr).toMatch(/sockets {2}FAILED {2}signal SIGKILL/);
    expect(ran.stderr).toMatch(/lab-1: analyzing .* 1 of 2 plugins\n/);
    expect([...ran.stderr].filter((character) => character < ' ' && character !== '\n')).toEqual([]);
    expect(ran.exit).toBe(0);
  },
);

test('on a terminal what runs is in the one line, and what has failed stays', async () => {
  const ran = await kcorder('watch 0193a5c2d7', analysisHandlers(), { columns: 120 });
  expect(ran.stderr).toContain('0 of 2 plugins, processes 12,034 rows');
  expect(ran.stderr).toMatch(/sockets {2}FAILED {2}signal SIGKILL/);
  expect(ran.stderr).not.toContain('processes  12,034 rows  0.4s');
});

test('for programs each change is a line, and the end another', async () => {
  const ran = await kcorder('watch 0193a5c2d7 -o jsonl', analysisHandlers());
  const lines = ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map((line) => Object.keys(line))).toEqual([...Array(5).fill(['plugin']), ['capture', 'analysis']]);
  expect(lines[2]).toMatchObject({ plugin: { name: 'processes', state: 'PLUGIN_STATE_RUNNING', rowCount: '12034' } });
});

test('a collector that cannot tell, and a right that is lacking, take nothing from the watch', async () => {
  for (const fault of [undefined, new Fault('permission_denied', 'alice may not get analyses')]) {
    const { watchAnalysis: _, ...handlers } = analysisHandlers();
    const ran = await kcorder('watch 0193a5c2d7', {
      ...handlers,
      watchCapture: async function* () {
        yield { capture: analyzing };
        yield { capture: captureOf() };
      },
      ...(fault && {
        // biome-ignore lint/correctness/useYield: a stream that is refused has no messages.
        watchAnalysis: async function* () {
          throw fault;
        },
      }),
    });
    expect(ran.stderr).not.toContain('alice');
    expect(ran.exit).toBe(0);
  }
});
