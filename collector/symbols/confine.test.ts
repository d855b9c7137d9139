import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runChild } from './child.ts';
import { type Confine, confineBy } from './confine.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-confine-'));
  await mkdir(join(home, 'evidence'));
  await mkdir(join(home, 'program'));
  await writeFile(join(home, 'ca.key'), 'secret');
  await writeFile(join(home, 'evidence', 'image.lime'), 'evidence');
  await writeFile(join(home, 'output'), '');
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Outcomes of the attacks, by name. */
async function attack(confine: Confine): Promise<Map<string, string>> {
  const program = join(home, 'program', 'attacks.mts');
  await copyFile(join(import.meta.dirname, 'testing', 'attack-runner.ts'), program);
  const paths = ['ca.key', 'evidence/image.lime', 'output'].map((name) => join(home, name));
  const files = { read: [program], write: [join(home, 'output')] };
  const argv = confine(files, [process.execPath, '--disable-warning=ExperimentalWarning', program, ...paths]);
  let printed = '';
  const output = (chunk: Buffer) => {
    printed += chunk.toString();
    return true;
  };
  const end = await runChild({ argv: ['sh', '-c', 'exec "$@"', 'sh', ...argv], output, wallMs: 60_000 }, never);
  expect(printed, JSON.stringify(end)).toContain('open a UDP socket');
  const lines = printed.trim().split('\n');
  return new Map(lines.map((line) => line.split(': ') as [string, string]));
}

const never = new AbortController().signal;
const plain: Confine = (_files, argv) => argv;

test('the builder reads what it is given and fills its output; every attack from within is refused', async () => {
  const image = join(home, 'evidence', 'image.lime');
  const before = await stat(image);
  const outcomes = await attack(confineBy('python3'));
  for (const [name, outcome] of outcomes) expect(outcome, name).toMatch(/^(EACCES|EPERM)$/);
  expect(outcomes.size).toBe(attackCount);
  expect(await readFile(join(home, 'output'), 'utf8')).toBe('an ISF');
  expect(await readFile(image, 'utf8')).toBe('evidence');
  expect((await stat(image)).mode).toBe(before.mode);
});

test('without confinement each of these attacks succeeds', async () => {
  const outcomes = await attack(plain);
  expect([...outcomes].filter(([, outcome]) => outcome !== 'done')).toEqual([]);
  expect(outcomes.size).toBe(attackCount + 1);
});

test('a program that is not there is told from one that fails', async () => {
  const argv = confineBy('python3')({ read: [], write: [] }, ['/nonexistent/program']);
  const end = await runChild(
    { argv: ['sh', '-c', 'exec "$@"', 'sh', ...argv], output: () => true, wallMs: 60_000 },
    never,
  );
  expect(end).toEqual({ kind: 'not_found' });
});

/** All but becoming a shell, which says nothing when it is refused. */
const attackCount = 16;
