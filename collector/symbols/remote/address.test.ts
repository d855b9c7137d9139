import { expect, test } from 'vitest';
import { below, redirectRefusal, refusal, shown } from './address.ts';

test.each([
  'https://storage.googleapis.com/cos-tools',
  'http://127.0.0.1:8080/',
  'http://127.9.9.9/',
  'http://0x7f.1/',
  'http://localhost/',
  'http://[::1]:8080/',
])('%s may be asked', (text) => {
  expect(refusal(new URL(text))).toBeUndefined();
});

test.each([
  'http://storage.googleapis.com/',
  'http://127.0.0.1.example.org/',
  'http://localhost.example.org/',
  'http://10.0.0.1/',
  'http://[::2]/',
  'http://169.254.169.254/',
  'file:///etc/passwd',
  'ftp://example.org/',
  'data:text/plain,x',
])('%s may not be asked', (text) => {
  expect(refusal(new URL(text))).toBeDefined();
});

test.each<[string, string, boolean]>([
  ['https://a.example/', 'https://b.example/', true],
  ['https://a.example/', 'http://a.example/', false],
  ['https://a.example/', 'http://127.0.0.1/', false],
  ['https://a.example/', 'https://localhost/', false],
  ['http://127.0.0.1/', 'http://localhost:81/', true],
  ['http://127.0.0.1/', 'https://a.example/', true],
  ['http://127.0.0.1/', 'http://a.example/', false],
])('a redirect from %s to %s: %s', (from, to, allowed) => {
  expect(redirectRefusal(new URL(from), new URL(to)) === undefined).toBe(allowed);
});

test('texts for people have neither login nor query', () => {
  expect(shown(new URL('https://me:secret@a.example:444/b/vmlinux?sig=secret#secret'))).toBe(
    'https://a.example:444/b/vmlinux',
  );
});

test.each<[string, string[], string]>([
  ['https://a.example', ['b', 'c'], 'https://a.example/b/c'],
  ['https://a.example/x//', ['b'], 'https://a.example/x/b'],
  ['https://me:pw@a.example/x?sig=1#f', ['b'], 'https://me:pw@a.example/x/b?sig=1'],
  ['https://a.example/x', ['../b/c', '?d'], 'https://a.example/x/..%2Fb%2Fc/%3Fd'],
])('below %s', (base, segments, expected) => {
  expect(below(new URL(base), ...segments).href).toBe(expected);
});
