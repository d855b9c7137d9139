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
  ["redis-cli's letter", 'redis-cli -h db -a hunter2 get x', 'redis-cli -h db -a [masked] get x'],
  ['a signed address', 'azcopy https://x/?sv=1&sig=hunter2', 'azcopy https://x/?sv=1&sig=[masked]'],
  [
    'a key of its own name',
    'app --jwt=hunter2 --encryption-key hunter2',
    'app --jwt=[masked] --encryption-key [masked]',
  ],
  ['a token of Vault', `vault login hvs.${'a'.repeat(24)}`, 'vault login [masked]'],
  ['a key of a service', `x sk-ant-${'a'.repeat(24)} sk_live_${'a'.repeat(24)}`, 'x [masked] [masked]'],
  ['a connection string', 'app Server=db;Uid=bob;Pwd=hunter2', 'app Server=db;Uid=bob;Pwd=[masked]'],
  ['sshpass', 'sshpass -p hunter2 ssh bob@x', 'sshpass -p [masked] ssh bob@x'],
  ['a token of its own', `x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y`, 'x [masked] y'],
  ['a key of AWS', 'x AKIAIOSFODNN7EXAMPLE y', 'x [masked] y'],
  ['a key of GitHub', `x ghp_${'a'.repeat(36)} y`, 'x [masked] y'],
  ['a private key', 'x -----BEGIN RSA PRIVATE KEY-----\nabc', 'x [masked]'],
  ['a short name', 'env DB_PASS=hunter2 run --pass hunter2', 'env DB_PASS=[masked] run --pass [masked]'],
  ['JSON', `curl -d {"user":"bob","password":"hunter2"} x`, `curl -d {"user":"bob","password":[masked] x`],
  ['JSON in quotes', `sh -c "{\\"token\\": \\"hunter2\\"}" x`, `sh -c "{\\"token\\": [masked] x`],
  ['signs in a password', 'app --password=a,b;hunter2&c x', 'app --password=[masked] x'],
  ['several addresses', 'app amqp://a:x@h1 amqp://b:y@h2', 'app amqp://a:[masked]@h1 amqp://b:[masked]@h2'],
  ['an address behind a name', `amqp://h1,amqp://u:${'x'.repeat(255)}@h2`, 'amqp://h1,amqp://u:[masked]@h2'],
  ['an address behind one without', 'app http://h:80/ db://b:y@h2', 'app http://h:80/ db://b:[masked]@h2'],
  ['no letter of an address without a user', 'redis://:hunter2@h', 'redis://:[masked]@h'],
  ['signs in an address', 'psql postgres://bob:a/b@hunter2@db/shop', 'psql postgres://bob:[masked]@db/shop'],
  ['a header behind its letter', 'curl -HX-Api-Key: hunter2 https://x', 'curl -HX-Api-Key: [masked] https://x'],
  ['a key of Azure', 'x AccountName=a;AccountKey=hunter2== y', 'x AccountName=a;AccountKey=[masked] y'],
])('masks %s', (_what, line, expected) => {
  expect(maskSecrets(line)).toBe(expected);
});

test.each([
  'nginx -g daemon off;',
  'kubelet --tls-private-key-file=/etc/k.key --token-path /var/x --config=/x.yaml',
  'ssh -p 2222 bob@host',
  'mkdir -p /a/b',
  'app --jwt-issuer=x --disk-encryption=on task-aaaaaaaaaaaaaaaaaaaaaaaaaaaa ?signal=9',
  'app --bypass=on --passthrough x --compass=n',
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

test.each([
  ...[
    'eyJ-',
    'eyJ.',
    `${'token'.repeat(12)} `,
    `--token${' '.repeat(60)}`,
    '://b:',
    '://',
    '://:',
    '://: @',
    '-u=',
    'mysql ',
    'x-',
  ],
  ...['-----BEGIN ', 'token="', `pass='"`, 'cookie: ', ' ', 'secret.', `-u${'='.repeat(300)} `],
])('a command line of nothing but %j is read in one go, or this would take hours', (part) => {
  const line = part.repeat(Math.ceil((128 << 10) / part.length));
  expect(typeof maskSecrets(line)).toBe('string');
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
  expect(env?.row([1, 'DB_PASSWORD', 'x'])).toEqual([1, 'DB_PASSWORD', '[masked]']);
  expect(env?.row([1, 'ger --token hunter2 --level', '3'])).toEqual([1, 'ger --token [masked] --level', '[masked]']);
  expect(maskOf('linux.lsof.Lsof', ['PID', 'Path'])).toBeUndefined();
  const spoofed = maskOf('linux.malware.process_spoofing.ProcessSpoofing', ['PID', 'Cmdline_Basename', 'Comm']);
  expect(spoofed?.row([1, 'app --token hunter2', 'app'])).toEqual([1, 'app --token [masked]', 'app']);
});

test('where a column that is masked has another name, no column is shown', () => {
  const env = maskOf('linux.envars.Envars', ['PID', 'KEY', 'Value']);
  expect(env?.row([1, 'DB_PASSWORD', 'hunter2'])).toEqual(['[masked]', '[masked]', '[masked]']);
  const lines = maskOf('linux.psaux.PsAux', ['PID', 'Arguments']);
  expect(lines?.row([1, 'app --token hunter2'])).toEqual([1, 'app --token [masked]']);
  expect(maskOf('linux.envars.Envars', [])).toBeUndefined();
});
