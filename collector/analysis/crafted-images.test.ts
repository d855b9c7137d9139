// Images that somebody has crafted or broken, read by the real runner: volatility/testing/hostile.py makes them.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { until } from '../testing/files.ts';
import type { AnalysisJob, AnalysisReport } from './analysis.ts';
import { createAnalysis } from './analyze.ts';
import { type AnalysisLimits, defaultLimits } from './limits.ts';
import { profiles } from './profiles.ts';
import { streamRows } from './results.ts';

const runnerDir = join(import.meta.dirname, 'volatility');
const never = new AbortController().signal;
const limits: AnalysisLimits = { ...defaultLimits, pluginWallMs: 30_000, memoryBytes: 2 ** 30 };
/** How a plugin ends that does not end itself. */
const brokenOff = /^(timeout|protocol|not_run|out_of_memory|output_limit|signal|exit)/;
/** Plugins that read no task. */
const unharmed = ['linux.iomem.IOMem', 'linux.lsmod.Lsmod', 'linux.malware.keyboard_notifiers.Keyboard_notifiers'];

interface Written {
  readonly image: string;
  readonly isf: string;
  readonly sha256: string;
  readonly note: string;
}

let python: string;
let whole: Written;
let wholeDir: string;
let dir: string;
beforeAll(async () => {
  python = await ensureVolatility();
  wholeDir = await mkdtemp(join(tmpdir(), 'kcorder-whole-'));
  whole = await craft('nothing', wholeDir);
});
afterAll(() => rm(wholeDir, { recursive: true, force: true }));
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kcorder-crafted-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function craft(name: string, folder: string): Promise<Written> {
  const script = join(runnerDir, 'testing', 'hostile.py');
  const { stdout } = await promisify(execFile)(python, ['-B', script, folder, name]);
  return JSON.parse(stdout) as Written;
}

function analyze(
  { image, isf, sha256, note }: Written,
  plugins: AnalysisJob['plugins'],
  own: Partial<AnalysisLimits> = {},
  workers = 2,
): Promise<AnalysisReport> {
  const job: AnalysisJob = {
    captureId: 'c-1',
    image: { kind: 'lime', path: image },
    symbols: { isfPath: isf, isfSha256: sha256, source: 'a test', quality: 'dwarf' },
    kernel: { banner: '', vmcoreinfo: note },
    containers: [],
    outputDir: join(dir, 'out'),
    ...(plugins && { plugins }),
  };
  const program = { python, entry: join(runnerDir, 'run.py') };
  return createAnalysis(program, { ...limits, ...own }, { workers }).analyze(job, never);
}

const ends = ({ plugins }: AnalysisReport) =>
  plugins.map(({ name, state, reason }) => `${name} ${state} ${reason}`.trim());

/** The longest cell that any plugin printed. */
async function longestCell(report: AnalysisReport): Promise<number> {
  let longest = 0;
  for (const { name, state } of report.plugins) {
    if (state !== 'rows') continue;
    for await (const row of streamRows(join(dir, 'out'), report, name))
      longest = Math.max(longest, ...row.map((cell) => String(cell).length));
  }
  return longest;
}

test.each([
  'pointers to themselves',
  'pointers to their structures',
  'trees of endless branches',
  'negative counts',
  'texts without an end',
])('each plugin comes to an end of its own on an image with %s', async (name) => {
  const report = await analyze(await craft(name, dir), profiles.deep);
  expect(report.plugins.map((plugin) => plugin.name)).toEqual(profiles.deep);
  expect(report.plugins.filter(({ reason }) => brokenOff.test(reason))).toEqual([]);
  expect(report.plugins.filter(({ state }) => state === 'rows')).not.toEqual([]);
  expect(await longestCell(report)).toBeLessThan(10_000);
  expect(report.diagnostics).toEqual([]);
});

test('nothing that is read by a list that never leads back is called empty', async () => {
  const report = await analyze(await craft('lists that never lead back', dir), profiles.deep);
  expect(report.plugins.filter(({ state, reason }) => state === 'empty' || brokenOff.test(reason))).toEqual([]);
  const silent = report.plugins.filter(({ state, warnings }) => state === 'rows' && warnings.length === 0);
  // They read no list.
  expect(silent.map((plugin) => plugin.name)).toEqual(['linux.iomem.IOMem', 'linux.psscan.PsScan']);
});

test('plugins that follow an endless list are timeouts, and the others have their rows', async () => {
  const hung = ['processes', 'linux.bash.Bash', 'linux.envars.Envars'];
  const crafted = await craft('an endless task list', dir);
  const report = await analyze(crafted, [...hung, ...unharmed], { pluginWallMs: 3_000 });
  expect(ends(report)).toEqual([
    ...hung.map((name) => `${name} failed timeout`),
    ...unharmed.map((name) => `${name} rows`),
  ]);
});

test('a worker that is killed with -9 costs the plugin that it ran, which says so, and no other', async () => {
  const crafted = await craft('an endless task list', dir);
  const [first = '', ...others] = unharmed;
  const running = analyze(crafted, [first, 'linux.bash.Bash', ...others], {}, 1);
  await until(() => existsSync(join(dir, 'out', `${first}.jsonl`)));
  const [runner] = childrenOf(process.pid, 'run.py');
  const workers = childrenOf(runner ?? 0, 'run.py');
  expect(workers).toHaveLength(1);
  process.kill(workers[0] ?? 0, 'SIGKILL');
  const report = await running;
  const killed = 'linux.bash.Bash failed signal SIGKILL';
  expect(ends(report)).toEqual([`${first} rows`, killed, ...others.map((name) => `${name} rows`)]);
  expect(report.diagnostics.join()).toContain('SIGKILL');
});

test('no plugin breaks its worker on an image with flipped bits', async () => {
  const start = Math.floor(Math.random() * 2 ** 31);
  for (let seed = start; seed < start + fuzzRuns(2); seed += 1) {
    const report = await analyze(await craft(String(seed), dir), profiles.deep);
    expect(
      report.plugins.filter(({ reason }) => brokenOff.test(reason)),
      `seed ${seed}`,
    ).toEqual([]);
  }
});

test.each<[string, (path: string) => Promise<void>, string, RegExp]>([
  ['an empty image', (path) => truncate(path, 0), 'image_rejected', /empty/],
  ['one that is cut in its data', (path) => truncate(path, 10_000), 'image_rejected', /cut.* bytes more/],
  ['one that is cut in its header', (path) => truncate(path, 20), 'image_rejected', /header at byte 0/],
  ['a program', (path) => copyFile(process.execPath, path), 'image_rejected', /no LiME record at byte 0/],
  ['noise', (path) => writeFile(path, randomBytes(100_000)), 'image_rejected', /no LiME record at byte 0/],
  [
    'zeros where the kernel was',
    (path) => overwrite(path, 32, Buffer.alloc(500_000)),
    'image_rejected',
    /holds nothing/,
  ],
  [
    'another kernel',
    (path) => replaceAll(path, 'Linux version', 'Minix version'),
    'image_rejected',
    /no kernel banner/,
  ],
])('%s is refused as a whole, with the reason and what to do', async (_what, change, reason, detail) => {
  const own = { ...whole, image: join(dir, 'image.lime') };
  await copyFile(whole.image, own.image);
  await change(own.image);
  expectRefusal(await analyze(own, ['processes']), reason, detail);
});

test.each<[string, (text: string) => string, string, RegExp]>([
  [
    'symbols of another build',
    (text) => text.replace(/("_stext":.*?"address": )(\d+)/, '$1$29'),
    'symbols_mismatch',
    /another build/,
  ],
  ['half a symbol file', (text) => text.slice(0, text.length / 2), 'symbols_rejected', /not usable/],
  ['a symbol file of something else', () => '{"symbols": []}', 'symbols_rejected', /not usable/],
])('%s are refused as a whole, with the reason and what to do', async (_what, change, reason, detail) => {
  const text = change(await readFile(whole.isf, 'utf8'));
  const isf = join(dir, 'isf.json');
  await writeFile(isf, text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  expectRefusal(await analyze({ ...whole, isf, sha256 }, ['processes']), reason, detail);
});

test('a symbol file that has changed since it was kept is refused with its path', async () => {
  const report = await analyze({ ...whole, sha256: 'ab'.repeat(32) }, ['processes']);
  expectRefusal(report, 'symbols_rejected', /isf\.json has the SHA-256/);
});

function expectRefusal(report: AnalysisReport, reason: string, detail: RegExp): void {
  expect(report).toMatchObject({
    state: 'failed',
    reason,
    plugins: [{ state: 'failed', reason: `not_run: ${reason}` }],
  });
  expect(report.detail).toMatch(detail);
  expect(report.detail, 'says what to do').toMatch(/kcorder|capture/);
}

async function overwrite(path: string, offset: number, data: Buffer): Promise<void> {
  const bytes = await readFile(path);
  data.copy(bytes, offset);
  await writeFile(path, bytes);
}

async function replaceAll(path: string, text: string, other: string): Promise<void> {
  await writeFile(path, (await readFile(path, 'latin1')).replaceAll(text, other), 'latin1');
}

/** Children of a process with this word in their command line. */
function childrenOf(pid: number, word: string): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').map(Number);
  return children.filter((child) => child > 0 && readFileSync(`/proc/${child}/cmdline`, 'latin1').includes(word));
}
