import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { type Certificates, type LoopbackCollector, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { captureOf } from '../fixtures/lab-capture.ts';

const { id } = captureOf();
const dir = mkdtempSync(join(tmpdir(), 'kcorder-query-test-'));
let certificates: Certificates;
let collector: LoopbackCollector;
let sent: Buffer;
let toldSha256: string | undefined;
const unmasked: boolean[] = [];

/** A file such as a collector makes, but for what `change` does to it. */
function fileOf(name: string, change: (database: DatabaseSync) => void = () => undefined): string {
  const path = join(dir, name);
  rmSync(path, { force: true });
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA application_id = ${0x4b636f52};
    CREATE TABLE processes (pid ANY, comm ANY, pod TEXT) STRICT;
    INSERT INTO processes VALUES (1, 'systemd', NULL), (11, 'web' || char(27) || '[2J', 'web-0');
  `);
  change(database);
  database.close();
  return path;
}

const environment = () => ({ KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir });
const kcorder = (...line: string[]) => runCommand(line, { environment: environment() });
const ask = (path: string, sql: string, ...rest: string[]) => runCommand(['query', '-f', path, sql, ...rest]);

beforeAll(async () => {
  certificates = makeCertificates();
  sent = readFileSync(fileOf('sent.sqlite'));
  collector = await startCollector(certificates, {
    getCapture: async ({ captureId }) => {
      if (captureId !== id) throw new Fault('capture_unknown', `no capture ${captureId}`);
      return { capture: captureOf() };
    },
    downloadResults: async function* ({ unmask }) {
      unmasked.push(unmask);
      const sha256 = toldSha256 ?? createHash('sha256').update(sent).digest('hex');
      yield { header: { size: BigInt(sent.length), sha256 } };
      for (let at = 0; at < sent.length; at += 1_000) yield { data: sent.subarray(at, at + 1_000) };
    },
  });
});
afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  certificates[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

test('a SELECT is asked here, of a private file that is gone afterwards', async () => {
  // Others on this machine ask too.
  const own = join(dir, 'temporary');
  mkdirSync(own);
  vi.stubEnv('TMPDIR', own);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { exit, stdout, stderr } = await kcorder('query', id, 'SELECT pid, comm, pod FROM processes ORDER BY pid');
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(stdout).toMatch(/^PID +COMM +POD\n1 +systemd +-\n11 +web\\x1b\[2J +web-0\n$/);
  expect(readdirSync(own)).toEqual([]);
});

test('values are unmasked only if that is asked for', async () => {
  unmasked.splice(0);
  await kcorder('query', id, 'SELECT 1');
  await kcorder('query', id, 'SELECT 1', '--unmask');
  await kcorder('download', id, '--results', '--unmask', '-f', join(dir, 'unmasked.sqlite'));
  expect(unmasked).toEqual([false, true, true]);
  expect(await kcorder('download', id, '--unmask')).toMatchObject({ exit: 2 });
});

test('a download is kept if it is what was told', async () => {
  const path = join(dir, 'kept.sqlite');
  const { exit, stdout } = await kcorder('download', id, '--results', '-f', path, '-o', 'json');
  expect(exit).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ file: path, size: String(sent.length) });
  expect(readFileSync(path).equals(sent)).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const again = await kcorder('download', id, '--results', '-f', path);
  expect(again).toMatchObject({ exit: 1, stderr: expect.stringMatching(/is there already and is not overwritten/) });
  expect(await ask(path, 'SELECT count(*) AS n FROM processes', '-o', 'csv')).toMatchObject({
    exit: 0,
    stdout: 'n\n2\n',
  });
});

test('a download that is not what was told is not kept', async () => {
  toldSha256 = 'ab'.repeat(32);
  const path = join(dir, 'wrong.sqlite');
  const { exit, stderr } = await kcorder('download', id, '--results', '-f', path);
  toldSha256 = undefined;
  expect(exit).toBe(1);
  expect(stderr).toMatch(/are not kept: .* Try again/);
  expect(existsSync(path) || existsSync(`${path}.part`)).toBe(false);
});

test.each([
  ['what is wrong in the SQL', 'SELECT nope FROM processes', /cannot be answered: no such column: nope/],
  ['no statement', ';', /cannot be answered/],
  ['a second statement', 'SELECT 1; DROP TABLE processes', /more than one statement/],
  ['a change', 'DELETE FROM processes', /not authorized/],
  ['a table of its own', 'CREATE TEMP TABLE t (a)', /not authorized/],
  ['another file', "ATTACH '/etc/passwd' AS x", /not authorized/],
  ['a copy of the file', "VACUUM INTO '/tmp/kcorder-vacuum'", /no SELECT|not authorized/],
  ['a pragma that loosens something', 'PRAGMA trusted_schema = ON', /not authorized/],
  ['an extension', "SELECT load_extension('x')", /not authorized/],
  ['a tokenizer', "SELECT fts3_tokenizer('simple')", /not authorized|no such function/],
])('refuses %s', async (_what, sql, message) => {
  const { exit, stdout, stderr } = await ask(fileOf('asked.sqlite'), sql);
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
  expect(stderr).toMatch(message);
});

test('of a plugin that failed there is no table, and the answer says why', async () => {
  const path = fileOf('failed.sqlite', (database) =>
    database.exec(`
      CREATE TABLE _plugins (plugin TEXT, table_name TEXT, state TEXT, reason TEXT) STRICT;
      INSERT INTO _plugins VALUES ('linux.bash.Bash', NULL, 'failed', 'time' || char(27) || 'out');
    `),
  );
  const { exit, stderr } = await ask(path, 'SELECT * FROM linux_bash_Bash');
  expect(exit).toBe(2);
  expect(stderr).toMatch('no such table: linux_bash_Bash, since plugin linux.bash.Bash is failed: time\\x1bout');
  expect((await ask(path, 'SELECT * FROM nope')).stderr).toMatch(
    /no such table: nope\. Each plugin that was run .* runs another/,
  );
});

test('an answer carries the warnings of the plugins whose tables it was read from', async () => {
  const path = fileOf('warned.sqlite', (database) =>
    database.exec(`
      CREATE TABLE _plugins (plugin TEXT, table_name TEXT, warnings TEXT) STRICT;
      CREATE TABLE lsof (PID ANY) STRICT;
      INSERT INTO _plugins VALUES ('linux.lsof.Lsof', 'lsof', '["run with pid=7\\u001b"]'), ('a', 'processes', 'x');
    `),
  );
  const { exit, stdout, stderr } = await ask(path, 'SELECT count(*) AS n FROM lsof, processes', '-o', 'csv');
  expect({ exit, stdout: stdout.split('\n')[0] }).toEqual({ exit: 0, stdout: 'n' });
  expect(stderr).toContain('linux.lsof.Lsof: run with pid=7\\x1b');
  expect((await ask(path, 'SELECT 1 AS one')).stderr).not.toContain('lsof');
});

test.each(['SELECT 1 AS one; -- the end', 'SELECT 1 AS one; /* the\nend; */ ;', 'SELECT 1 AS one; /* no end'])(
  'a remark behind the statement is none: %j',
  async (sql) => {
    const { exit, stdout } = await ask(fileOf('remark.sqlite'), sql, '-o', 'csv');
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'one\n1\n' });
  },
);

test('a statement behind a remark is another one', async () => {
  const { exit, stderr } = await ask(fileOf('remark.sqlite'), "SELECT 1; /* '*/ SELECT 2 --*/");
  expect({ exit, stderr }).toEqual({ exit: 2, stderr: expect.stringMatching(/it is more than one statement/) });
});

test('what is infinite is not nothing', async () => {
  const { stdout } = await ask(
    fileOf('infinite.sqlite'),
    'SELECT 9e999 AS up, -9e999 AS down, NULL AS none',
    '-o',
    'jsonl',
  );
  expect(stdout).toBe('{"up":"Infinity","down":"-Infinity","none":null}\n');
});

test.each<[string, (database: DatabaseSync) => void, RegExp]>([
  ['no file of results', (database) => database.exec('PRAGMA application_id = 0'), /it is no file of results/],
  [
    'a file with a view',
    (database) => database.exec('CREATE VIEW v AS SELECT 1'),
    /a view, a trigger or a virtual table/,
  ],
  [
    'a file with a trigger',
    (database) => database.exec('CREATE TRIGGER t AFTER INSERT ON processes BEGIN SELECT 1; END'),
    /a view, a trigger or a virtual table/,
  ],
  [
    'a file with a virtual table',
    (database) => database.exec('CREATE VIRTUAL TABLE v USING fts5(a)'),
    /a virtual table/,
  ],
])('refuses %s', async (_what, change, message) => {
  const { exit, stderr } = await ask(fileOf('hostile.sqlite', change), 'SELECT 1');
  expect(exit).toBe(2);
  expect(stderr).toMatch(message);
});

test('refuses a file whose virtual table is called a table', async () => {
  const disguised = "type = 'table', rootpage = 2, sql = replace(sql, 'CREATE VIRTUAL', 'CREATE /**/ VIRTUAL')";
  const path = join(dir, 'disguised.sqlite');
  fileOf('disguised.sqlite', (database) => database.exec('CREATE VIRTUAL TABLE v USING fts5(a)'));
  const database = new DatabaseSync(path, { defensive: false });
  database.exec(`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET ${disguised} WHERE name = 'v'`);
  database.close();
  const { exit, stderr } = await ask(path, 'SELECT 1');
  expect(exit).toBe(2);
  expect(stderr).toMatch(/a virtual table/);
});

test('a row is one row, whatever ends a line elsewhere', async () => {
  const sql = "SELECT 'a' || char(8232, 8233, 133, 13, 10, 11, 12) || 'b' AS name, 2 AS two";
  const { exit, stdout } = await ask(fileOf('lines.sqlite'), sql, '-o', 'jsonl');
  expect(exit).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ name: 'a\u2028\u2029\u0085\r\n\v\fb', two: 2 });
});

test('refuses a damaged file, and one that is none', async () => {
  const path = fileOf('damaged.sqlite', (database) => {
    database.exec('BEGIN');
    const insert = database.prepare('INSERT INTO processes VALUES (?, ?, ?)');
    for (let pid = 0; pid < 2_000; pid += 1) insert.run(pid, 'x'.repeat(100), null);
    database.exec('COMMIT');
  });
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0xff, 3 * 4_096, 4 * 4_096));
  expect(await ask(path, 'SELECT 1')).toMatchObject({ exit: 2, stderr: expect.stringMatching(/damaged|malformed/) });
  writeFileSync(path, 'no database');
  expect(await ask(path, 'SELECT 1')).toMatchObject({ exit: 2, stderr: expect.stringMatching(/not a database/) });
  const missing = await ask(join(dir, 'missing.sqlite'), 'SELECT 1');
  expect(missing).toMatchObject({ exit: 2, stderr: expect.stringMatching(/cannot read .*missing\.sqlite/) });
});

test('a query that never ends is ended by Ctrl-C', async () => {
  const interrupt = new AbortController();
  const sql = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0';
  const running = runCommand(['query', '-f', fileOf('endless.sqlite'), sql], { interrupt: interrupt.signal });
  setTimeout(() => interrupt.abort(), 500);
  expect((await running).exit).toBe(130);
});

test('an answer that takes more memory than it may is ended', async () => {
  const sql =
    'SELECT group_concat(hex(zeroblob(1000000))) FROM processes, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) SELECT x FROM c)';
  const { exit, stderr } = await ask(fileOf('large.sqlite'), sql);
  expect(exit).toBe(2);
  expect(stderr).toMatch(/out of memory|too big/);
});

test.each([
  ['no SELECT', ['query', 'x']],
  ['two of them', ['query', '-f', 'x', 'SELECT 1', 'SELECT 2']],
])('refuses %s', async (_what, line) => {
  const { exit, stderr } = await kcorder(...line);
  expect({ exit, stderr }).toMatchObject({ exit: 2, stderr: expect.stringMatching(/give a capture and a SELECT/) });
});
