import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { cachePath, repoDir } from './setup/cache.ts';
import { ensureEverything } from './setup/everything.ts';
import { say } from './setup/progress.ts';
import { ensureVolatility } from './setup/volatility.ts';
import { hasTests, type testFiles } from './test-files.ts';

interface Tally {
  passed: number;
  failed: number;
  /** A line or more for each failure. */
  failures: readonly string[];
}

const unitOnly = ['unit'] as const;
const all = ['unit', 'process', 'system'] as const;
const npmScripts = ['check:types', 'check:style', 'check:structure', 'check:proto'];

/** Runs the static checks, the Python tests and the TypeScript tests, and ends with the line `N passed, N failed`. */
export async function test(args: readonly string[]): Promise<number> {
  const files = args.filter((arg) => !arg.startsWith('-'));
  const unknown = args.find((arg) => arg.startsWith('-') && arg !== '--unit');
  if (unknown !== undefined) {
    say(`./dev test: ${unknown} is unknown; there are --unit and names of test files`);
    return 2;
  }
  const isUnit = args.includes('--unit');
  const projects = (isUnit ? unitOnly : all).filter((project) => files.length === 0 || hasTests(project, files));
  const tallies: Tally[] = [];
  if (projects.length === 0) {
    say(
      `./dev test: no ${isUnit ? 'unit ' : ''}test file has ${files.map((file) => `"${file}"`).join(' or ')} in its path`,
    );
    return 2;
  }
  if (files.length === 0) tallies.push(...(await checksAndPython()));
  let isSetUp = false;
  for (const project of projects) {
    if (project !== 'unit' && !isSetUp) {
      isSetUp = true;
      if ((await ensureEverything()) !== 0) tallies.push({ passed: 0, failed: 1, failures: ['set-up'] });
    }
    tallies.push(await vitest(project, files));
  }
  const passed = tallies.reduce((sum, counters) => sum + counters.passed, 0);
  const failed = tallies.reduce((sum, counters) => sum + counters.failed, 0);
  // At the end, where they are found: the output is long.
  for (const failure of tallies.flatMap(({ failures }) => failures)) say(`FAILED: ${failure}`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** Beside each other: each of them uses one processor. */
async function checksAndPython(): Promise<Tally[]> {
  const volatility = await ensureVolatility();
  const checks = async (): Promise<Tally[]> => {
    const tallies: Tally[] = [];
    for (const script of npmScripts) tallies.push(await check(script));
    return tallies;
  };
  const [ofChecks, python] = await Promise.all([checks(), pythonTests(volatility)]);
  return [...ofChecks, python];
}

/** A static check counts as one test. */
async function check(script: string): Promise<Tally> {
  const exitCode = await run('npm', ['run', '--silent', script]);
  say(exitCode === 0 ? `  ${script} is clean` : `  ${script} FAILED`);
  return exitCode === 0 ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [script] };
}

async function pythonTests(python: string): Promise<Tally> {
  let output = '';
  const cwd = join(repoDir, 'collector/analysis/volatility');
  const exitCode = await run(python, ['-B', '-m', 'unittest', 'discover'], { cwd, heard: (text) => (output += text) });
  const ran = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0);
  const failures = [...output.matchAll(/(?:failures|errors)=(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = exitCode === 0 && ran > 0 ? 0 : Math.max(1, failures);
  const named = [...output.matchAll(/^(?:FAIL|ERROR): (.+)$/gm)].map((match) => `Python: ${match[1]}`);
  return { passed: Math.max(0, ran - failed), failed, failures: failed === 0 || named.length > 0 ? named : ['Python'] };
}

/** What is used of vitest's report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Times in ms since 1970. */
  readonly testResults: readonly FileReport[];
}

interface FileReport {
  readonly name: string;
  readonly startTime: number;
  readonly endTime: number;
  /** Why the file could not be run, or nothing. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[] | null;
  }[];
}

/** Returns what failed in files of tests, each with the first lines of why. */
function failuresOf(files: readonly FileReport[]): string[] {
  return files.flatMap(({ name, message, assertionResults }) => {
    const path = relative(repoDir, name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    const ofFile = message === '' || failed.length > 0 ? [] : [`${path}: ${linesOf(message)}`];
    return [
      ...ofFile,
      ...failed.map((one) => `${path} > ${one.fullName}: ${linesOf(one.failureMessages?.[0] ?? 'no message')}`),
    ];
  });
}

/** Returns the first lines of a message, without places that are not the project's. */
function linesOf(text: string): string {
  const own = text.split('\n').filter((line) => !/^ +at .*(?:node_modules|<anonymous>|node:)/.test(line));
  return own.slice(0, 12).join('\n    ');
}

/** Says which files took longest: time for tests is a budget. */
function sayTimes(files: readonly FileReport[]): void {
  const times = files
    .map(({ name, startTime, endTime }) => ({ name: relative(repoDir, name), seconds: (endTime - startTime) / 1000 }))
    .filter(({ seconds }) => seconds >= 10)
    .sort((one, other) => other.seconds - one.seconds);
  for (const { name, seconds } of times) say(`  ${seconds.toFixed(0).padStart(5)} s  ${name}`);
}

/** Runs the tests of one project, or those whose paths hold one of `files`. */
export async function vitest(project: keyof typeof testFiles, files: readonly string[]): Promise<Tally> {
  const folder = cachePath('test');
  mkdirSync(folder, { recursive: true });
  const report = join(folder, `${project}.json`);
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const entry = join(repoDir, 'node_modules/vitest/vitest.mjs');
  const exitCode = await run(process.execPath, [entry, 'run', '--project', project, ...reporters, ...files]);
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
    sayTimes(testResults);
    // A file that cannot be loaded, or an error outside of tests, has no failed test to show for it.
    const failures = failuresOf(testResults);
    const failed = Math.max(numFailedTests, failures.length, exitCode === 0 ? 0 : 1);
    const outside = failed > 0 && failures.length === 0 ? [`${project}: an error outside of tests, shown above`] : [];
    return { passed: numPassedTests, failed, failures: [...failures, ...outside] };
  } catch {
    return { passed: 0, failed: 1, failures: [`${project}: vitest left no report`] };
  }
}

async function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; heard?: (text: string) => void } = {},
): Promise<number> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? repoDir,
    stdio: ['ignore', 'inherit', options.heard === undefined ? 'inherit' : 'pipe'],
    // Tools that are started by name find the project's own Node first.
    env: { ...process.env, PATH: `${join(repoDir, 'node_modules/.bin')}:${process.env.PATH ?? ''}` },
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    options.heard?.(text);
  });
  return await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
