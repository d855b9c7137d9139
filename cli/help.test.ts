import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ended } from './fixtures/ended.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

test.each([
  [[]],
  [['capture']],
  [['get', 'captures']],
  [['get', 'nodes']],
  [['ps']],
  [['watch']],
  [['approve']],
  [['cancel']],
  [['download']],
  [['symbols', 'get']],
  [['symbols', 'find']],
  [['symbols', 'pin']],
  [['symbols', 'unpin']],
  [['symbols', 'delete']],
  [['symbols', 'export']],
  [['symbols', 'import']],
  [['join-token', 'create']],
  [['doctor']],
  [['version']],
])('kcorder %s --help shows examples and the exit code is 0', async (command) => {
  const { exit, stdout, stderr } = await ended(start([...command, '--help']));
  expect(stdout).toMatch(/^Usage: kcorder/);
  if (command.length > 0) {
    expect(stdout.split('Examples:')[1]?.match(/^ {2}kcorder /gm)?.length).toBeGreaterThanOrEqual(2);
    expect(stdout).toContain('--tls-dir <dir>');
  }
  expect(stderr).toBe('');
  expect(exit).toBe(0);
});

test('kcorder symbols build --help shows examples, and -o as the name of a file', async () => {
  const { exit, stdout } = await ended(start(['symbols', 'build', '--help']));
  expect(stdout.split('Examples:')[1]?.match(/^ {2}kcorder symbols build /gm)).toHaveLength(3);
  expect(stdout).toMatch(/-o, --output <file> +name of the ISF/);
  expect(stdout).not.toContain('--collector');
  expect(exit).toBe(0);
});

test.each([
  ['get captures', '"table", "wide", "json", "yaml"'],
  ['get env', '"table", "wide", "json", "jsonl", "csv"'],
  ['query', '"table", "wide", "json", "jsonl", "csv"'],
  ['watch', '"table", "wide", "json", "yaml", "jsonl", "csv"'],
])('kcorder %s --help lists the forms that it prints, once', async (command, forms) => {
  const { stdout } = await ended(start([...command.split(' '), '--help']));
  expect(stdout.replaceAll(/\s+/g, ' ').match(/--output <form> [^)]*\)/g)).toEqual([
    `--output <form> how results are printed (choices: ${forms}, default: "table")`,
  ]);
});

test('called by kubectl, help says so', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-help-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const link = join(dir, 'kubectl-kcorder');
  symlinkSync(program, link);
  const child = spawn(process.execPath, [link, 'capture', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { stdout } = await ended(child);
  expect(stdout).toMatch(/^Usage: kubectl kcorder capture /);
  expect(stdout.match(/^ {2}kubectl kcorder capture /gm)).toHaveLength(6);
});
