import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisState, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { AnalysisSpecSchema, ListPluginsResponseSchema } from '@kcorder/proto/gen/kcorder/v1/plugins_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];
type Spec = MessageInitShape<typeof AnalysisSpecSchema>;

async function kcorder(line: readonly string[], handlers: Handlers = {}) {
  await using collector = await startCollector(certificates, handlers);
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  return await runCommand([...line], { environment });
}

const commands: readonly string[][] = [
  ['capture', 'lab-1', '--reason', 'x'],
  ['capture', '--pod', 'shop/web-0', '--reason', 'x'],
  ['analyze', 'c1'],
  ['schedule', 'create', 'nightly', '--cron', '@daily'],
];
const lsof = 'linux.lsof.Lsof';
const regex = 'linux.vmaregexscan.VmaRegExScan';
const choices: readonly [string[], Spec | undefined][] = [
  [[], undefined],
  [['--profile', 'deep'], { profile: 'deep' }],
  [['--plugin', `${lsof},linux.bash.Bash`], { plugins: [{ name: lsof }, { name: 'linux.bash.Bash' }] }],
  [
    ['--plugin', 'files,cached-files', '--arg', 'cached-files:find=/etc/shadow'],
    {
      plugins: [{ name: lsof }, { name: 'linux.pagecache.Files', arguments: [{ name: 'find', value: '/etc/shadow' }] }],
    },
  ],
  [
    ['--plugin', regex, '--arg', 'pattern=a:b=c, d', '--arg', 'pid=7'],
    {
      plugins: [
        {
          name: regex,
          arguments: [
            { name: 'pattern', value: 'a:b=c, d' },
            { name: 'pid', value: '7' },
          ],
        },
      ],
    },
  ],
  [
    ['--plugin', regex, '--plugin', lsof, '--arg', `${regex}:pattern=x`, '--arg', `${lsof}:pid=7`],
    {
      plugins: [
        { name: regex, arguments: [{ name: 'pattern', value: 'x' }] },
        { name: lsof, arguments: [{ name: 'pid', value: '7' }] },
      ],
    },
  ],
];

test.each(commands.flatMap((command) => choices.map(([words, spec]) => ({ command, words, spec }))))(
  'kcorder $command $words asks for it',
  async ({ command, words, spec }) => {
    const seen: unknown[] = [];
    const take = async ({ analysis }: { analysis?: unknown }) => {
      seen.push(analysis);
      return { capture: captureOf() };
    };
    const ran = await kcorder([...command, ...words], {
      resolvePods: async () => ({ nodes: [{ nodeName: 'lab-1', pods: [{ namespace: 'shop', name: 'web-0' }] }] }),
      createCapture: take,
      analyzeCapture: take,
      createSchedule: async (request) => {
        seen.push(request.spec?.analysis);
        return { schedule: { spec: request.spec ?? {} } };
      },
    });
    expect([ran.stderr.match(/error/), ran.exit]).toEqual([null, 0]);
    expect(seen).toEqual([spec && create(AnalysisSpecSchema, spec)]);
  },
);

test.each<[string[], RegExp]>([
  [['--profile', 'deep', '--plugin', lsof], /--profile and --plugin do not go together/],
  [['--arg', 'pid=7'], /--arg is for a plugin: give --plugin too/],
  [
    ['--plugin', `${lsof},${regex}`, '--arg', 'pid=7'],
    /--arg pid could be for any of the plugins: give PLUGIN:pid=VALUE/,
  ],
  [
    ['--plugin', lsof, '--arg', `${regex}:pid=7`],
    /--arg pid is for linux\.vmaregexscan\.VmaRegExScan, which --plugin does not name/,
  ],
  [['--replace'], /--replace is about rows of plugins: give --plugin too/],
  [['--plugin', lsof, '--arg', 'pid'], /Give NAME=VALUE/],
  [['--plugin', `${lsof},`], /Give names such as/],
])('%j is refused before anything is asked', async (words, expected) => {
  const ran = await runCommand(['analyze', 'c1', ...words]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(2);
});

test('a schedule that analyzes nothing takes no profile', async () => {
  const ran = await runCommand('schedule create s --cron @daily --no-analyze --profile deep'.split(' '));
  expect(ran.stderr).toMatch(/--no-analyze leaves nothing to --profile and --plugin/);
  expect(ran.exit).toBe(2);
});

test.each([[false], [true]])('analyze sends --replace only if it is given: %s', async (replace) => {
  const seen: boolean[] = [];
  await kcorder(['analyze', 'c1', '--plugin', lsof, ...(replace ? ['--replace'] : [])], {
    analyzeCapture: async (request) => {
      seen.push(request.replace);
      return { capture: captureOf() };
    },
  });
  expect(seen).toEqual([replace]);
});

test('analyze --plugin says that other results stay', async () => {
  const spec = create(AnalysisSpecSchema, { plugins: [{ name: lsof, arguments: [{ name: 'pid', value: '7' }] }] });
  const capture = captureOf({ analysis: { state: AnalysisState.PENDING, spec } });
  const ran = await kcorder(['analyze', 'c1', '--plugin', lsof], { analyzeCapture: async () => ({ capture }) });
  expect(ran.stderr).toMatch(
    /^Running linux\.lsof\.Lsof on the image of capture c1; other results stay as they are\.\n/,
  );
  expect(ran.stdout).toMatch(/analysis +pending, linux\.lsof\.Lsof \(pid=7\)\n/);
});

test('analyze --plugin --wait says how its rows are listed, and of one that failed that there are none', async () => {
  const spec = create(AnalysisSpecSchema, { plugins: [{ name: lsof }] });
  const run = (state: AnalysisState) => {
    const capture = captureOf({ id: 'c1', phase: Phase.DONE, analysis: { state, reason: 'canceled', spec } });
    return kcorder(['analyze', 'c1', '--plugin', lsof, '--wait'], {
      analyzeCapture: async () => ({ capture }),
      getCapture: async () => ({ capture }),
      watchCapture: async function* () {
        yield { capture };
      },
      getAnalysis: async () => analysisOf({ capture }),
    });
  };
  const done = await run(AnalysisState.DONE);
  expect(done.stderr).toContain(`\`kcorder get rows c1 --plugin ${lsof}\` lists its rows.\n`);
  const failed = await run(AnalysisState.FAILED);
  expect(failed.exit).toBe(1);
  expect(failed.stderr).toContain('warning: no new rows: the analysis of capture c1 is FAILED: canceled');
});

test('get plugins lists what can be run, and with what', async () => {
  const answer = create(ListPluginsResponseSchema, {
    defaultProfile: 'standard',
    plugins: [
      { name: lsof, profiles: ['standard', 'deep'], parameters: [{ name: 'pid', kind: 'numbers' }] },
      { name: regex, sensitive: true, needs: ['pattern'], parameters: [{ name: 'pattern', kind: 'text' }] },
      { name: 'x\x1b[2J', parameters: [{ name: 'format', kind: 'choice', choices: ['gz', 'xz'] }] },
    ],
  });
  const handlers: Handlers = { listPlugins: async () => answer };
  const { stdout, stderr, exit } = await kcorder(['get', 'plugins'], handlers);
  expect(stdout).toBe(`PLUGIN                           KIND   PROFILES       SENSITIVE  NEEDS    ARGUMENTS
linux.lsof.Lsof                  files  standard,deep  -          -        pid=NUMBERS
linux.vmaregexscan.VmaRegExScan  -      -              yes        pattern  pattern=TEXT
x\\x1b[2J                         -      -              -          -        format=gz|xz
`);
  expect([stderr, exit]).toEqual(['Default profile: standard.\n', 0]);
  expect(JSON.parse((await kcorder(['get', 'plugins', '-o', 'json'], handlers)).stdout).plugins[1]).toMatchObject({
    needs: ['pattern'],
    sensitive: true,
  });
});

const analyzing = captureOf({ analysis: { state: AnalysisState.RUNNING } });
const failed = captureOf({
  analysis: { state: AnalysisState.FAILED, reason: 'canceled', detail: 'canceled by alice' },
});

test.each([
  ['that runs', analyzing, /^The analysis of capture c1 is being stopped\. `kcorder watch c1` shows its end\.\n$/],
  ['that waited', failed, /^The analysis of capture c1 is canceled\.\n$/],
])('cancel --analysis stops an analysis %s', async (_what, capture, expected) => {
  const ran = await kcorder(['cancel', 'c1', '--analysis'], { cancelAnalysis: async () => ({ capture }) });
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(0);
});

test('cancel of a capture that is being analyzed says how the analysis is stopped', async () => {
  const refuse = () => Promise.reject(new Fault('capture_ended', 'capture c1 is done'));
  const of = (capture: typeof analyzing): Handlers => ({
    cancelCapture: refuse,
    getCapture: async () => ({ capture }),
  });
  const ran = await kcorder(['cancel', 'c1'], of(analyzing));
  expect(ran.stderr).toMatch(
    /capture c1 has ended, and its analysis has not\. `kcorder cancel c1 --analysis` stops it/,
  );
  expect(ran.exit).toBe(1);
  expect((await kcorder(['cancel', 'c1'], of(failed))).stderr).toBe('kcorder: capture c1 is done.\n');
});
