import { create } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisSymbolsSchema, PluginResultSchema, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, type Capture, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';

import { SymbolsQuality } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

const started = captureOf({ phase: Phase.REQUESTED, durableBytes: 0n, sha256: '', evidencePath: '' });
started.outcome = undefined;
started.analysis = undefined;
const acquiring = captureOf({ phase: Phase.ACQUIRING, durableBytes: 100_000_000n, scannedBytes: 500_000_000n });
acquiring.outcome = undefined;

const handlersFor = (...states: Capture[]): Handlers => ({
  createCapture: async () => ({ capture: started }),
  watchCapture: async function* () {
    for (const capture of states) yield { capture };
  },
  getAnalysis: async () => analysisOf(),
});

const options = (address: string): string[] => ['--collector', address, '--tls-dir', certificates.operatorDir];

async function kcorder(line: string, handlers: Handlers, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, handlers);
  return await runCommand([...line.split(' '), ...options(collector.address)], surroundings);
}

const wait = 'capture lab-1 --reason INC-4711 --wait';

test('capture without --wait prints the capture and how to go on', async () => {
  const seen: unknown[] = [];
  const ran = await kcorder('capture lab-1 --reason INC-4711 --idempotency-key k1', {
    createCapture: async (request) => {
      seen.push([request.nodeName, request.reason, request.idempotencyKey]);
      return { capture: started };
    },
  });
  expect(seen).toEqual([['lab-1', 'INC-4711', 'k1']]);
  expect(ran.stdout).toMatch(/^ID .*\n0193a5c2d7 +lab-1 +requested +- +- +- .*INC-4711 beacon\n/);
  expect(ran.stderr).toContain('`kcorder watch 0193a5c2d7` follows it');
  expect(ran.exit).toBe(0);
});

test('every capture without a key gets a key of its own', async () => {
  const keys = new Set<string>();
  const handlers: Handlers = {
    createCapture: async ({ idempotencyKey }) => {
      keys.add(idempotencyKey);
      return { capture: started };
    },
  };
  await kcorder('capture lab-1 --reason x', handlers);
  await kcorder('capture lab-1 --reason x', handlers);
  expect(keys.size).toBe(2);
});

test.each(['capture lab-1 --reason INC-4711 --wait', 'watch 0193a5c2d7'])(
  'kcorder %s ends with the process table on stdout and the evidence on stderr',
  async (line) => {
    const ran = await kcorder(line, handlersFor(started, acquiring, captureOf()));
    expect(ran.stdout).toMatch(/lab-1 > demo > exfil-demo > netcat\n512 .*nc -lk/);
    expect(ran.stderr).toContain('lab-1: acquiring  95.4 MiB  46%\n');
    expect(ran.stderr).toContain(
      'evidence complete: 330.1 MiB at /var/lib/kcorder/evidence/0193a5c2d7/image.lime on the collector',
    );
    expect(ran.exit).toBe(0);
  },
);

test('memory that is not in a complete image is told of', async () => {
  const ran = await kcorder(wait, handlersFor(captureOf({ leftOutMemory: [{ kind: 'kmem', bytes: 8n << 30n }] })));
  expect(ran.stderr).toMatch(
    /evidence complete: .*\n.*not in the image: memory that the kernel uses \(kmem 8\.0 GiB\)/,
  );
  expect(ran.exit).toBe(0);
});

test('what an analysis read the image with is said', async () => {
  const symbols = { source: 'BTF and kallsyms of node lab-1', quality: SymbolsQuality.BTF, isfSha256: 'ef'.repeat(32) };
  const ran = await kcorder(wait, {
    ...handlersFor(captureOf()),
    getAnalysis: async () => analysisOf({ symbols: create(AnalysisSymbolsSchema, symbols) }),
  });
  expect(ran.stderr).toContain(
    `analyzed with symbols from BTF and kallsyms of node lab-1 (btf), ISF SHA-256 ${'ef'.repeat(32)}\n`,
  );
});

test('in JSON the capture and its analysis stand side by side', async () => {
  const { stdout } = await kcorder(`${wait} -o json`, handlersFor(captureOf()));
  const document = JSON.parse(stdout);
  expect(Object.keys(document)).toEqual(['capture', 'analysis']);
  expect(document.capture.id).toBe('0193a5c2d7');
  expect(document.analysis.processes).toHaveLength(20);
});

test.each<[string, Parameters<typeof captureOf>[0], number, RegExp]>([
  [
    'without symbols there is no table, and the evidence is complete',
    { analysis: { state: AnalysisState.FAILED, reason: 'symbols_missing', detail: 'put vmlinux into /symbols' } },
    1,
    /warning: no process list: the analysis of capture 0193a5c2d7 is FAILED: symbols_missing: put vmlinux into \/symbols\n`kcorder symbols get lab-1` shows what each source of symbols had, and what to do\nevidence complete: 330\.1 MiB/,
  ],
  [
    'a partial capture says so',
    {
      outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died', detail: 'AVML was killed' },
      analysis: { state: AnalysisState.SKIPPED, reason: 'image_partial' },
    },
    3,
    /warning: PARTIAL evidence: acquirer_died: AVML was killed\nwhat was acquired is kept: 330\.1 MiB/,
  ],
  [
    'a failed capture says why',
    {
      outcome: { kind: OutcomeKind.FAILED, reason: 'preflight_refused', detail: 'kcore is masked' },
      evidencePath: '',
      analysis: {},
    },
    1,
    /warning: capture 0193a5c2d7 of lab-1 ended FAILED: preflight_refused: kcore is masked\n$/,
  ],
  [
    'a canceled capture says by whom',
    {
      outcome: { kind: OutcomeKind.CANCELED, reason: 'canceled', detail: 'canceled by bob' },
      analysis: { state: AnalysisState.SKIPPED },
    },
    1,
    /warning: capture 0193a5c2d7 of lab-1 was canceled by bob\nwhat was acquired is kept/,
  ],
])('%s', async (_what, changes, exit, expected) => {
  const ran = await kcorder(wait, handlersFor(captureOf(changes)));
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(exit);
  expect(JSON.parse((await kcorder(`${wait} -o json`, handlersFor(captureOf(changes)))).stdout).analysis).toBeNull();
});

test.each([
  [
    'of which nothing else depends is named, and is no failure',
    'linux.ebpf.EBPF',
    0,
    'unsupported: linux.ebpf.EBPF: no prog_idr\n',
  ],
  ['that every table needs is a failure', 'sockets', 1, 'FAILED: sockets: no prog_idr\n'],
])('an unsupported plugin %s', async (_what, name, exit, expected) => {
  const handlers = handlersFor(captureOf());
  const others = analysisOf().plugins.filter((plugin) => plugin.name !== name);
  const unsupported = create(PluginResultSchema, { name, state: PluginState.UNSUPPORTED, reason: 'no prog_idr' });
  const analysis = analysisOf({ plugins: [...others, unsupported] });
  const ran = await kcorder(wait, { ...handlers, getAnalysis: async () => analysis });
  expect(ran.stderr).toContain(expected);
  expect(ran.exit).toBe(exit);
});

test('a plugin that failed is named even when the table is there, and the exit code tells', async () => {
  const handlers = handlersFor(captureOf());
  const plugins = [
    ...analysisOf().plugins,
    create(PluginResultSchema, { name: 'linux.lsof.Lsof', state: PluginState.FAILED, reason: 'out_of_memory' }),
  ];
  const ran = await kcorder(wait, { ...handlers, getAnalysis: async () => analysisOf({ plugins }) });
  expect(ran.stderr).toContain('FAILED: linux.lsof.Lsof: out_of_memory. Raise KCORDER_ANALYSIS_MEMORY_BYTES');
  expect(ran.stdout).toContain('nc -lk');
  expect(ran.exit).toBe(1);
});

test('a capture that does not end in time goes on, and the exit code is 124', async () => {
  const ran = await kcorder(`${wait} --timeout 300ms`, {
    ...handlersFor(),
    watchCapture: async function* (_request, { signal }) {
      yield { capture: acquiring };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  expect(ran.stderr).toMatch(
    /kcorder: capture 0193a5c2d7 has not ended within 300ms\. Go on with `kcorder watch 0193a5c2d7`, stop it with `kcorder cancel 0193a5c2d7`\.\n$/,
  );
  expect(ran.exit).toBe(124);
});

test.each([
  ['ends without a word', async (): Promise<void> => undefined],
  [
    'is refused for a while',
    (): Promise<void> => Promise.reject(new Fault('unavailable', 'the collector is starting')),
  ],
] as const)('a watch whose stream %s is taken up again', async (_what, breakOff) => {
  let streams = 0;
  const ran = await kcorder(wait, {
    ...handlersFor(),
    watchCapture: async function* (): AsyncGenerator<{ capture: Capture }> {
      streams += 1;
      if (streams === 1) yield { capture: acquiring };
      if (streams < 3) {
        await breakOff();
        return;
      }
      yield { capture: captureOf() };
    },
  });
  expect(streams).toBe(3);
  expect(ran.stderr.match(/warning: the connection to the collector broke; trying again in 1s\n/g)).toHaveLength(2);
  expect(ran.stdout).toContain('nc -lk');
  expect(ran.exit).toBe(0);
});

test('a collector that is killed and comes back is found again', async () => {
  const first: LoopbackCollector = await startCollector(certificates, {
    ...handlersFor(),
    watchCapture: async function* (_request, { signal }) {
      yield { capture: acquiring };
      setTimeout(() => first.kill(), 50);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  const running = runCommand([...wait.split(' '), ...options(first.address)]);
  await expect.poll(() => first.killed()).toBe(true);
  await using _second = await startCollector(certificates, handlersFor(captureOf()), { port: first.port });
  const ran = await running;
  expect(ran.stderr).toContain('warning: the connection to the collector broke');
  expect(ran.stdout).toContain('nc -lk');
  expect(ran.exit).toBe(0);
});

test('a watch of an unknown capture is not tried again', async () => {
  const ran = await kcorder('watch nope', {
    // biome-ignore lint/correctness/useYield: it is refused before its first message.
    watchCapture: async function* () {
      throw new Fault('capture_unknown', 'there is no capture nope');
    },
  });
  expect(ran.stderr).toBe('kcorder: there is no capture nope.\n');
  expect(ran.exit).toBe(1);
});

test('an interrupted wait leaves the capture running and says how to go on', async () => {
  const interrupt = new AbortController();
  const ran = await kcorder(
    wait,
    {
      ...handlersFor(),
      watchCapture: async function* (_request, { signal }) {
        yield { capture: acquiring };
        interrupt.abort();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    { interrupt: interrupt.signal },
  );
  expect(ran.stderr).toMatch(
    /kcorder: interrupted; capture 0193a5c2d7 goes on\. Go on with `kcorder watch 0193a5c2d7`, stop it with `kcorder cancel 0193a5c2d7`\.\n$/,
  );
  expect(ran.exit).toBe(130);
});

test('on a terminal the progress is one line that is redrawn and wiped', async () => {
  const ran = await kcorder(
    wait,
    {
      ...handlersFor(),
      watchCapture: async function* () {
        yield { capture: acquiring };
        yield { capture: captureOf() };
      },
    },
    { columns: 120 },
  );
  expect(ran.stderr).toContain('\r\x1b[Klab-1: acquiring  95.4 MiB  46%');
  expect(ran.stderr).toContain('\r\x1b[Kevidence complete');
});

test.each([
  ['node_busy', 1],
  ['disk_too_small', 1],
  ['invalid_argument', 2],
  ['deadline_exceeded', 124],
] as const)('the fault %s of the collector ends with exit code %d and its own words', async (code, exit) => {
  const ran = await kcorder(wait, {
    createCapture: () => Promise.reject(new Fault(code, `this is ${code}\x1b[2J`)),
  });
  expect(ran.stderr).toBe(`kcorder: this is ${code}\\x1b[2J.\n`);
  expect(ran.exit).toBe(exit);
});
