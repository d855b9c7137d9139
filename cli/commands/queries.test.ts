import { create } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  AnalysisConfinementSchema,
  AnalysisSymbolsSchema,
  ConfinementLevel,
  PluginState,
} from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { type GetAnalysisResponse, GetAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsQuality, SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { analysisOf, captureOf, lsof, nodesOf } from '../fixtures/lab-capture.ts';

const healthy = analysisOf().plugins;
const pending = captureOf({ id: 'pending', phase: Phase.ANALYZING, analysis: { state: AnalysisState.RUNNING } });
const captures = [
  captureOf(),
  pending,
  captureOf({
    id: 'nosymbols',
    analysis: { state: AnalysisState.FAILED, reason: 'symbols_missing', detail: 'looked in /symbols' },
    symbols: { state: SymbolsState.MISSING, detail: 'looked in /symbols' },
  }),
  captureOf({
    id: 'added',
    analysis: { state: AnalysisState.FAILED, reason: 'canceled', spec: { plugins: [{ name: 'linux.bash.Bash' }] } },
  }),
  captureOf({ id: 'plugged', leftOutMemory: [{ kind: 'virtio_mem', bytes: 2n << 30n }] }),
  captureOf({
    id: 'partial',
    outcome: { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died', detail: 'AVML was killed' },
  }),
  ...['failed', 'socketless', 'mismatch', 'lying', 'stale', 'void', 'loose'].map((id) => captureOf({ id })),
];
const confinementOf = (level: ConfinementLevel, landlockAbi: number) =>
  create(AnalysisConfinementSchema, { level, landlockAbi, seccomp: level !== ConfinementLevel.NONE });
const analyses: Readonly<Record<string, GetAnalysisResponse>> = {
  failed: create(GetAnalysisResponseSchema, {
    plugins: [{ name: 'processes', state: PluginState.FAILED, reason: 'timeout' }],
  }),
  socketless: analysisOf({
    plugins: [healthy[0] ?? {}, { name: 'sockets', state: PluginState.FAILED, reason: 'signal SIGSEGV' }],
  }),
  mismatch: analysisOf({ kernelMismatch: true }),
  loose: analysisOf({ confinement: confinementOf(ConfinementLevel.PARTIAL, 0) }),
  lying: analysisOf({ plugins: [...healthy, { ...lsof, rowCount: 9n }] }),
  stale: analysisOf({ plugins: [...healthy, { ...lsof, warnings: ['not_replaced: it failed (timeout)'] }] }),
  void: create(GetAnalysisResponseSchema, {
    plugins: [
      { name: 'processes', state: PluginState.EMPTY },
      { name: 'sockets', state: PluginState.EMPTY },
      { name: 'linux.lsmod.Lsmod', state: PluginState.EMPTY },
    ],
  }),
};

const symbols = create(AnalysisSymbolsSchema, {
  source: 'built from vmlinux',
  quality: SymbolsQuality.DWARF,
  isfSha256: 'abab',
});
const rowsOf = (wanted: string[]) => (wanted.includes(lsof.name) ? { plugins: [...healthy, lsof] } : {});

let certificates: Certificates;
let collector: LoopbackCollector;
const kcorder = (line: string) =>
  runCommand(line.split(' '), {
    environment: { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir },
  });

beforeAll(async () => {
  certificates = makeCertificates();
  collector = await startCollector(certificates, {
    getCapture: async ({ captureId }) => {
      const capture = captures.find(({ id }) => id === captureId);
      if (capture === undefined)
        throw new Fault('capture_unknown', `There is no capture ${captureId}. See \`kcorder get captures\``);
      return { capture };
    },
    listCaptures: async ({ nodeName, pageToken }) => {
      const found =
        nodeName === 'lab-2' ? [pending] : nodeName === '' || nodeName === 'lab-1' ? [pending, captureOf()] : [];
      const at = Number(pageToken);
      return { captures: found.slice(at, at + 1), nextPageToken: at + 1 < found.length ? String(at + 1) : '' };
    },
    getAnalysis: async ({ captureId, rowPlugins }) =>
      analyses[captureId] ??
      analysisOf({ symbols, confinement: confinementOf(ConfinementLevel.FULL, 7), ...rowsOf(rowPlugins) }),
    cancelCapture: async () => ({
      capture: captureOf({ outcome: { kind: OutcomeKind.CANCELED, reason: 'canceled', detail: 'canceled by alice' } }),
    }),
    listNodes: async () => ({ nodes: nodesOf() }),
    getVersion: async () => ({ version: '0.9.0' }),
  });
});
afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
});

test.each([
  ['all captures, over all pages', 'get captures', /^ID .*\npending .*analyzing.*\n0193a5c2d7 .*complete.*\n$/],
  ['one capture with its details', 'get captures partial', /PARTIAL, acquirer_died: AVML was killed/],
  [
    'one capture with the symbols that its analysis used',
    'get captures 0193a5c2d7',
    /\nsymbols +built from vmlinux \(dwarf\), ISF SHA-256 abab\n/,
  ],
  [
    'one capture with how far its analysis was confined',
    'get captures 0193a5c2d7',
    /\nconfined +in full \(Landlock 7, seccomp\)\n/,
  ],
  ['one capture without symbols', 'get captures nosymbols', /\nsymbols +missing\n/],
  ['one capture whose analysis cannot be read', 'get captures partial', /\nsha-256 /],
  ['all nodes', 'get nodes', /^NAME .*\nlab-1 .*\nlab-2 .*no: lockdown/],
  ['one node with its refusals', 'get nodes lab-2', /lockdown: The kernel runs with/],
  ['both versions', 'version', /^PROGRAM +VERSION\nkcorder +0\.1\.0\ncollector +0\.9\.0\n$/],
  [
    'the processes of a capture',
    'ps 0193a5c2d7',
    /lab-1 > demo > exfil-demo > netcat\n512 .*tcp \*:4444 .*nc -lk -p 4444 -e \/bin\/sh\n/,
  ],
  ['kernel threads', 'ps 0193a5c2d7 --all', /\[kswapd0\]/],
  [
    'the rows of a plugin, escaped',
    'ps 0193a5c2d7 --plugin linux.lsof.Lsof',
    /^PID +PATH\n512 +\/etc\\x1b\[2J\n630 +-\n$/,
  ],
  ['a canceled capture', 'cancel 0193a5c2d7', /^outcome +canceled by alice$/m],
])('%s: kcorder %s', async (_what, line, expected) => {
  const { exit, stdout } = await kcorder(line);
  expect(stdout).toMatch(expected);
  expect(exit).toBe(0);
});

test.each([
  [
    'a node means its newest analyzed capture, and a newer one is named',
    'ps lab-1',
    0,
    /warning: capture pending of lab-1 is newer, but has no process list; this is 0193a5c2d7/,
  ],
  [
    'a partial capture is marked on stderr too',
    'ps partial',
    3,
    /warning: PARTIAL image of capture partial: acquirer_died/,
  ],
  ['memory that is not in the image is told of', 'ps plugged', 0, /warning: not in the image: .*virtio_mem 2\.0 GiB/],
  ['a kernel that lied is named', 'ps mismatch', 0, /warning: kernel_mismatch: /],
  [
    'an analysis that was confined in part is told of',
    'ps loose',
    0,
    /warning: .*confined in part \(no Landlock, seccomp\)/,
  ],
  [
    'a failed list of sockets spoils the table, and says so',
    'ps socketless',
    1,
    /FAILED: sockets: signal SIGSEGV\. A crafted image can do this/,
  ],
  [
    'a plugin that failed when it ran again is named, though its earlier rows are there',
    'ps stale --plugin linux.lsof.Lsof',
    1,
    /^FAILED: linux\.lsof\.Lsof: not_replaced: it failed \(timeout\)$/m,
  ],
  [
    'rows that did not all arrive are no success',
    'ps lying --plugin linux.lsof.Lsof',
    1,
    /counted 9 rows of linux\.lsof\.Lsof and sent 2/,
  ],
])('%s: kcorder %s', async (_what, line, exit, expected) => {
  const ran = await kcorder(line);
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(exit);
  expect(ran.stdout).not.toBe('');
});

test.each([
  [
    'a failed plugin is no empty table',
    'ps failed',
    1,
    /^FAILED: processes: timeout\. Raise KCORDER_PLUGIN_SECONDS .*\nFAILED: sockets: it was not run\n$/,
  ],
  [
    'an empty result says what was asked',
    'ps void --plugin linux.lsmod.Lsmod',
    0,
    /^Plugin linux\.lsmod\.Lsmod found nothing in capture void\.\n$/,
  ],
  ['no processes at all are said', 'ps void', 0, /^No processes in capture void\.\n$/],
  ['no captures of a node are said', 'get captures --node lab-9', 0, /^No captures of node lab-9\.\n$/],
  [
    'a plugin that was not run',
    'ps 0193a5c2d7 --plugin nope',
    2,
    /^kcorder: plugin "nope" was not run on capture 0193a5c2d7\. The ones that were: processes, sockets\.\n$/,
  ],
  [
    'a capture without symbols',
    'ps nosymbols',
    1,
    /^kcorder: no process list of capture nosymbols: .*symbols_missing: looked in \/symbols; the evidence is complete, `kcorder download nosymbols` gets it\. `kcorder symbols get lab-1` shows what each source of symbols had, and what to do\.\n$/,
  ],
  [
    'an analysis that still runs',
    'ps pending',
    1,
    /^kcorder: the analysis of capture pending has not ended\. `kcorder watch pending` waits for it\.\n$/,
  ],
  [
    'a node whose captures are not analyzed',
    'ps lab-2',
    1,
    /^kcorder: no capture of node lab-2 has a process list; the newest is pending\./,
  ],
  [
    'neither a capture nor a node',
    'ps lab-9',
    1,
    /^kcorder: "lab-9" is neither a capture's id nor the beginning of one \(at least 4 characters\) nor a node with captures\./,
  ],
  ['an unknown node', 'get nodes nope', 1, /^kcorder: no node named "nope"/],
])('%s: kcorder %s', async (_what, line, exit, expected) => {
  const ran = await kcorder(line);
  expect(ran.stderr).toMatch(expected);
  expect(ran.exit).toBe(exit);
  expect(ran.stdout).toBe('');
});

test("JSON and YAML carry the same, by protobuf's own mapping", async () => {
  const json: unknown = JSON.parse((await kcorder('get captures 0193a5c2d7 -o json')).stdout);
  expect(json).toMatchObject({
    id: '0193a5c2d7',
    nodeName: 'lab-1',
    outcome: { kind: 'OUTCOME_KIND_COMPLETE' },
    durableBytes: '346095616',
  });
  expect(parse((await kcorder('get captures 0193a5c2d7 -o yaml')).stdout)).toEqual(json);
  const list = JSON.parse((await kcorder('get captures -o json')).stdout);
  expect(list.captures.map(({ id }: { id: string }) => id)).toEqual(['pending', '0193a5c2d7']);
  expect(JSON.parse((await kcorder('get nodes -o json')).stdout).nodes).toHaveLength(2);
  expect(JSON.parse((await kcorder('version -o json')).stdout)).toEqual({ kcorder: '0.1.0', collector: '0.9.0' });
});

test('an empty list is an empty list in JSON', async () => {
  const { stdout } = await kcorder('get captures --node lab-9 -o json');
  expect(JSON.parse(stdout)).toMatchObject({ captures: [] });
});

test('ps in JSON has every process with its place and its sockets', async () => {
  const { processes } = JSON.parse((await kcorder('ps lab-1 -o json')).stdout);
  expect(processes).toHaveLength(20);
  expect(processes.find(({ pid }: { pid: number }) => pid === 512)).toMatchObject({
    commandLine: 'nc -lk -p 4444 -e /bin/sh',
    placement: { podNamespace: 'demo', podName: 'exfil-demo', containerName: 'netcat' },
    sockets: [{ localPort: 4444, state: 'LISTEN' }],
  });
});

test('a capture that is still being stopped points to its end', async () => {
  await using slow = await startCollector(certificates, {
    cancelCapture: async () => ({ capture: captureOf({ phase: Phase.ACQUIRING }) }),
  });
  const ran = await runCommand(['cancel', 'x1', '--collector', slow.address, '--tls-dir', certificates.operatorDir]);
  expect(ran.stderr).toBe(
    'Capture x1 is being stopped; what was acquired is kept. `kcorder watch x1` shows its end.\n',
  );
});

test('results stay readable when the addition of a plugin to them has failed', async () => {
  const { exit, stdout, stderr } = await kcorder('ps added');
  expect(stdout).toContain('lab-1 > ');
  expect(stderr).toContain(
    'the newest analysis of capture added is FAILED: canceled; these are the results without it',
  );
  expect(exit).toBe(0);
});
