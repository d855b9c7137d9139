import { expect, test } from 'vitest';
import { mirrorsIn, sourceList } from './debian-lists.ts';

const lines = [
  'https://packages.example/apt/ stable',
  'http://mirror.example/debian-security/ bookworm-security',
  'http://mirror.example/debian/ bookworm',
];

test.each([
  ['both servers, whatever else is configured', lines, 'http://mirror.example/debian-security'],
  [
    'security updates beside the archive when this machine takes none',
    lines.slice(2),
    'http://mirror.example/debian-security',
  ],
])('finds %s', (_sentence, given, security) => {
  expect(mirrorsIn(given.join('\n'))).toEqual({ archive: 'http://mirror.example/debian', security });
});

test('a machine without Debian as a source is refused', () => {
  expect(() => mirrorsIn(lines.slice(0, 1).join('\n'))).toThrow(/no source of this machine ends with \/debian/);
});

test('security suites come from their own server, and the key is named', () => {
  const mirrors = { archive: 'http://a.example/debian', security: 'http://s.example/debian-security' };
  expect(sourceList(mirrors, ['trixie', 'trixie-security'], '/k.gpg')).toBe(
    'deb [signed-by=/k.gpg] http://a.example/debian trixie main\n' +
      'deb [signed-by=/k.gpg] http://s.example/debian-security trixie-security main\n',
  );
  expect(sourceList(mirrors, ['sid'])).toBe('deb http://a.example/debian sid main\n');
});
