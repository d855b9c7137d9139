import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { smallKallsyms, smallKernel } from '@kcorder/isf/testing/btf-writer.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from './fixtures/collector.ts';
import { ended } from './fixtures/ended.ts';
import { analysisOf, captureOf } from './fixtures/lab-capture.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

let certificates: Certificates;
let collector: LoopbackCollector;
const acquiring = captureOf({ phase: Phase.ACQUIRING });
acquiring.outcome = undefined;
const many = Array.from({ length: 500 }, () => analysisOf().processes).flat();

beforeAll(async () => {
  certificates = makeCertificates();
  collector = await startCollector(certificates, {
    createCapture: async () => ({ capture: acquiring }),
    watchCapture: async function* (_request, { signal }) {
      yield { capture: acquiring };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    getCapture: async () => ({ capture: captureOf() }),
    getAnalysis: async ({ captureId }) => analysisOf(captureId === '0193a5c2d7' ? { processes: many } : {}),
  });
});
afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
});

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const env = {
    KCORDER_COLLECTOR: collector.address,
    KCORDER_TLS_DIR: certificates.operatorDir,
    ...environment,
  };
  return spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

test.each([
  [
    'an unknown command, with the one that was meant',
    ['pss'],
    /^kcorder: unknown command 'pss'\n\(Did you mean ps\?\)\n/,
  ],
  [
    'an unknown option, with the one that was meant',
    ['ps', 'x', '--al'],
    /^kcorder: unknown option '--al'\n\(Did you mean --all\?\)\n/,
  ],
  [
    'an unknown option beside a required one that is missing',
    ['capture', 'n', '--reson', 'x'],
    /^kcorder: unknown option '--reson'\n\(Did you mean --reason\?\)\n/,
  ],
  [
    'an unknown option of a command without the global ones, beside a required one that is missing',
    ['symbols', 'build', 'vmlinux', '--ouput', 'f'],
    /^kcorder: unknown option '--ouput'\n\(Did you mean --output\?\)\n/,
  ],
  ['a missing argument', ['watch'], /^kcorder: missing required argument 'capture\|node'\n/],
  ['an argument too many', ['cancel', 'a', 'b'], /^kcorder: too many arguments for 'cancel'/],
  ['a capture without a reason', ['capture', 'n'], /^kcorder: required option '--reason <text>' not specified\n/],
  ['an empty reason', ['capture', 'n', '--reason', ' '], /argument ' ' is invalid\. It must not be empty\./],
  ['a time that is none', ['watch', 'x', '--timeout', 'soon'], /Give a time such as 90s, 30m or 1h30m/],
  [
    'a key that is too long',
    ['capture', 'n', '--reason', 'x', '--idempotency-key', 'k'.repeat(129)],
    /longer than 128 characters/,
  ],
  [
    '--timeout without --wait',
    ['capture', 'n', '--reason', 'x', '--timeout', '5m'],
    /^kcorder: --timeout says how long --wait waits/,
  ],
  [
    'no word of what to capture',
    ['capture', '--reason', 'x'],
    /^kcorder: give one of these: a node, --pod, --selector or/,
  ],
  [
    'a node beside pods',
    ['capture', 'n', '--pod', 'a/b', '--reason', 'x'],
    /^kcorder: give one of these: a node, --pod/,
  ],
  [
    'a pod without its namespace',
    ['capture', '--pod', 'web', '--reason', 'x'],
    /Give NAMESPACE\/NAME, such as shop\/checkout/,
  ],
  [
    'a selector that is empty',
    ['capture', '-l', ' ', '--reason', 'x'],
    /It would mean every pod\. Give labels such as app=web\./,
  ],
  [
    '--pod-namespace without --selector',
    ['capture', '--pod', 'a/b', '--pod-namespace', 'c', '--reason', 'x'],
    /^kcorder: --pod-namespace goes with --selector/,
  ],
  ['an approval without a reason', ['approve', 'n'], /^kcorder: required option '--reason <text>' not specified\n/],
  [
    'a join token without a uid',
    ['join-token', 'create', '--node', 'n'],
    /^kcorder: required option '--uid <uid>' not/,
  ],
  ['an id beside --node', ['get', 'captures', 'x', '--node', 'n'], /^kcorder: a capture and --node do not go together/],
  ['--all beside --plugin', ['ps', 'x', '--all', '--plugin', 'p'], /^kcorder: --all and --plugin do not go together/],
  [
    'an unknown form',
    ['get', 'nodes', '-o', 'xml'],
    /argument 'xml' is invalid\. Allowed choices are table, wide, json, yaml\./,
  ],
  [
    'a vmlinux beside --btf',
    ['symbols', 'build', 'vmlinux', '--btf', 'b', '-o', 'f'],
    /^kcorder: a vmlinux and --btf, .* do not go together\./,
  ],
  [
    'half of what a running kernel tells',
    ['symbols', 'build', '--btf', 'b', '-o', 'f'],
    /^kcorder: give a vmlinux, or all of --btf, --kallsyms, --banner and --release\./,
  ],
  [
    "dwarf2json's way without a vmlinux",
    ['symbols', 'build', '--btf=b', '--kallsyms=k', '--banner=x', '--release=r', '--like-dwarf2json', '-o', 'f'],
    /^kcorder: --like-dwarf2json needs a vmlinux\./,
  ],
  ['an ISF without a name', ['symbols', 'build', 'vmlinux'], /^kcorder: required option '-o, --output <file>' not/],
  [
    'an ISF that would have to be compressed',
    ['symbols', 'build', 'vmlinux', '-o', 'k.json.xz'],
    /What is written is not compressed\. Give k\.json, and compress it afterwards: xz k\.json\n/,
  ],
  [
    'an offset that is none',
    ['symbols', 'build', '--kernel-offset', '0xyz', '-o', 'f'],
    /Give hexadecimal digits, such as 1a000000\./,
  ],
  ['no command', [], /^Usage: kcorder/],
])('%s ends with exit code 2', async (_what, args, expected) => {
  const { exit, stdout, stderr } = await ended(start(args));
  expect(stderr).toMatch(expected);
  expect(stdout).toBe('');
  expect(exit).toBe(2);
});

test.each([[['--help']], [['get', 'nodes', '--collector', '127.0.0.1:1', '--tls-dir', '/nowhere']]])(
  'kcorder %j loads nothing of Kubernetes',
  async (args) => {
    const spy = `import { registerHooks } from 'node:module';
      registerHooks({ load: (url, context, next) => (url.includes('@kubernetes') && console.log('loaded', url), next(url, context)) });`;
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(spy)}`, program, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    expect((await ended(child)).stdout).not.toContain('loaded');
  },
);

test.each([
  ['in front of all', ['-o', 'json', 'version']],
  ['behind the command', ['version', '-o', 'json']],
  ['the last one counts', ['-o', 'wide', 'version', '--output=json', '--no-color']],
])('global options may stand %s', async (_what, args) => {
  const { stdout } = await ended(start(args, { KCORDER_COLLECTOR: '' }));
  expect(JSON.parse(stdout)).toEqual({ kcorder: '0.1.0' });
});

test('version needs no collector', async () => {
  const { exit, stdout } = await ended(start(['version'], { KCORDER_COLLECTOR: '' }));
  expect(stdout).toBe('PROGRAM  VERSION\nkcorder  0.1.0\n');
  expect(exit).toBe(0);
});

test('Ctrl-C while waiting leaves the capture running: exit code 130, and the way on', async () => {
  const child = start(['capture', 'lab-1', '--reason', 'x', '--wait']);
  child.stderr?.on('data', (data) => {
    if (String(data).includes('acquiring')) child.kill('SIGINT');
  });
  const { exit, stdout, stderr } = await ended(child);
  expect(stderr).toContain('kcorder: interrupted; capture 0193a5c2d7 goes on. Go on with `kcorder watch 0193a5c2d7`');
  expect(stdout).toBe('');
  expect(exit).toBe(130);
});

test('Ctrl-C while an ISF is built, which lets nothing else in, leaves no file: exit code 130', async () => {
  const dir = mkdtempSync(join(certificates.dir, 'build-'));
  const [btf, kallsyms, file] = ['btf', 'kallsyms', 'kernel.json'].map((name) => join(dir, name));
  if (btf === undefined || kallsyms === undefined || file === undefined) expect.unreachable();
  execFileSync('mkfifo', [btf]);
  writeFileSync(kallsyms, smallKallsyms);
  const source = ['--btf', btf, '--kallsyms', kallsyms, '--kernel-offset', '1a000000'];
  const child = start(['symbols', 'build', ...source, '--banner', 'b', '--release', 'r', '-o', file]);
  let interrupted: Promise<void> | undefined;
  child.stderr?.on('data', (data) => {
    if (!String(data).includes('building')) return;
    child.kill('SIGINT');
    interrupted = writeFile(btf, smallKernel().bytes());
  });
  const { exit, stdout, stderr } = await ended(child);
  await interrupted;
  expect(stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(stdout).toBe('');
  expect(exit).toBe(130);
  expect(readdirSync(dir).toSorted()).toEqual(['btf', 'kallsyms']);
});

test('a wait that takes too long ends with exit code 124', async () => {
  const { exit, stderr } = await ended(start(['watch', 'c20261122t190311-0193a5c2', '--timeout', '400ms']));
  expect(stderr).toMatch(/kcorder: capture c20261122t190311-0193a5c2 has not ended within 400ms\./);
  expect(exit).toBe(124);
});

test('a reader that has seen enough ends the command quietly', async () => {
  const child = start(['ps', '0193a5c2d7']);
  child.stdout?.once('data', () => child.stdout?.destroy());
  let stderr = '';
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const [exit, signal] = await once(child, 'exit');
  expect({ exit, signal, stderr }).toEqual({ exit: 0, signal: null, stderr: '' });
});

test('a long table arrives whole through a pipe, without one control character', async () => {
  const { exit, stdout, stderr } = await ended(start(['ps', '0193a5c2d7'], { COLUMNS: '40' }));
  expect(stdout.match(/nc -lk -p 4444 -e \/bin\/sh$/gm)).toHaveLength(500);
  expect([...new Set(stdout)].filter((character) => character < ' ')).toEqual(['\n']);
  expect(stderr).toBe('');
  expect(exit).toBe(0);
});
