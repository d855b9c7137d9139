import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maskOf, maskSecrets } from './masking.ts';
import { type PluginRow, pluginTable } from './plugins.ts';

test.each([
  ['an option with a sign', 'app --password=hunter2 --port=80', 'app --password=[masked] --port=80'],
  ['an option with a blank', 'app --db-token hunter2 -v', 'app --db-token [masked] -v'],
  ['an option of one dash', 'java -Dapi.secret=hunter2 Main', 'java -Dapi.secret=[masked] Main'],
  [
    'a variable',
    'env MYSQL_PWD=hunter2 AWS_SECRET_ACCESS_KEY=x/y run',
    'env MYSQL_PWD=[masked] AWS_SECRET_ACCESS_KEY=[masked] run',
  ],
  ['quotes', `sh -c password="two words" x`, 'sh -c password=[masked] x'],
  ['an address', 'psql postgres://bob:hunter2@db:5432/shop', 'psql postgres://bob:[masked]@db:5432/shop'],
  ['a header', 'curl -H Authorization: Bearer abc.def https://x', 'curl -H Authorization: [masked] https://x'],
  ['a user', 'curl -u bob:hunter2 https://x', 'curl -u bob:[masked] https://x'],
  ["mysql's letter", 'mysqldump -h db -phunter2 shop', 'mysqldump -h db -p[masked] shop'],
  ['sshpass', 'sshpass -p hunter2 ssh bob@x', 'sshpass -p [masked] ssh bob@x'],
  ['a token of its own', `x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y`, 'x [masked] y'],
  ['a key of AWS', 'x AKIAIOSFODNN7EXAMPLE y', 'x [masked] y'],
  ['a key of GitHub', `x ghp_${'a'.repeat(36)} y`, 'x [masked] y'],
  ['a private key', 'x -----BEGIN RSA PRIVATE KEY-----\nabc', 'x [masked]'],
])('masks %s', (_what, line, expected) => {
  expect(maskSecrets(line)).toBe(expected);
});

test.each([
  'nginx -g daemon off;',
  'kubelet --tls-private-key-file=/etc/k.key --token-path /var/x --config=/x.yaml',
  'ssh -p 2222 bob@host',
  'mkdir -p /a/b',
  'curl -u bob https://host:8443/x',
  'postgres: checkpointer',
  '',
])('leaves %j as it is', (line) => {
  expect(maskSecrets(line)).toBe(line);
});

test('a hostile command line takes no time that grows faster than it does', () => {
  const parts = fc.constantFrom(
    'token',
    '=',
    ' ',
    '-',
    ':',
    '/',
    '@',
    '"',
    'mysql',
    '-p',
    'eyJ',
    '.',
    'x-',
    '-----BEGIN ',
    'a',
  );
  fc.assert(
    fc.property(fc.array(parts, { minLength: 10, maxLength: 400 }), (each) => {
      const line = each.join('');
      expect(typeof maskSecrets(line.repeat(Math.ceil(4_096 / line.length)))).toBe('string');
    }),
    { numRuns: 300 },
  );
});

test('every plugin that is called sensitive is masked', () => {
  const sensitive = pluginTable.filter((row: PluginRow) => row.sensitive).map(({ name }) => name);
  const titles = ['VALUE', 'Command', 'line', 'Hexdump', 'Text', 'Value', 'ARGS'];
  expect(sensitive.length).toBeGreaterThan(5);
  expect(sensitive.filter((name) => maskOf(name, titles) === undefined)).toEqual([]);
});

test('rows of tables that are sensitive have no value left, and others are not touched', () => {
  const env = maskOf('linux.envars.Envars', ['PID', 'KEY', 'VALUE']);
  expect(env?.columns).toEqual(['VALUE']);
  expect(env?.row([1, 'HOME', '/root'])).toEqual([1, 'HOME', '[masked]']);
  expect(env?.row([1, 'HOME', null])).toEqual([1, 'HOME', null]);
  expect(maskOf('linux.lsof.Lsof', ['PID', 'Path'])).toBeUndefined();
});
