import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { Trust } from './trust.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-trust-'));
afterAll(() => rmSync(dir, { recursive: true }));
const [a, b, c] = ['a', 'b', 'c'].map((name) => makeAuthority(join(dir, name)).ca.toString()) as [
  string,
  string,
  string,
];
const path = join(dir, 'ca.crt');
let logged: Record<string, unknown>[] = [];
let trust: Trust;
beforeEach(() => {
  logged = [];
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  trust = new Trust(path, log);
  writeFileSync(path, a);
});
const bundle = (): string[] =>
  trust
    .bundle()
    .toString()
    .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g) ?? [];

test('the file is read anew each time', () => {
  expect(bundle()).toEqual([a]);
  writeFileSync(path, `text before\n${b}\n\n${a}`);
  expect(bundle()).toEqual([b, a]);
});

test('what an answer named counts beside the file, once, until the next answer or another file', () => {
  bundle();
  trust.add(a + b);
  expect(bundle()).toEqual([a, b]);
  trust.add(c);
  expect(bundle()).toEqual([a, c]);
  writeFileSync(path, b);
  expect(bundle()).toEqual([b]);
});

test.each([
  ['empty', ''],
  ['no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ['too large', 'x'.repeat(300_000)],
])('a file that is %s: the last good one stays, and it is said once', (_, text) => {
  expect(() => new Trust(join(dir, 'none'), pino({ level: 'silent' })).bundle()).toThrow(/no authority .*ENOENT/);
  bundle();
  writeFileSync(path, text);
  expect([bundle(), bundle()]).toEqual([[a], [a]]);
  expect(logged).toMatchObject([{ level: 50, problem: expect.stringContaining(path) }]);
  trust.add(text);
  expect(bundle()).toEqual([a]);
});

test('whatever an answer names, what the file has stays', () => {
  bundle();
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\n', 'A', a) }),
      (named) => {
        trust.add(named);
        expect(bundle()).toEqual([a]);
      },
    ),
    { numRuns: 2_000 },
  );
});
