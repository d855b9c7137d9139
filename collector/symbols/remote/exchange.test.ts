import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { exchange } from './exchange.ts';
import { quick } from './testing/quick.ts';
import { SymbolServer } from './testing/symbol-server.ts';

const never = new AbortController().signal;

async function ask(url: URL) {
  const end = await exchange(url, {}, quick, never);
  if (end.kind === 'answer') end.body.discard();
  return end;
}

function redirect(location: string, status = 302) {
  return { status, headers: { location } };
}

test.each([301, 302, 303, 307, 308])('a %i is followed, from relative to absolute URLs', async (status) => {
  await using server = await SymbolServer.start();
  server.put('/there', Buffer.from('here'));
  const url = server.put('/start', Buffer.alloc(0), [redirect('/next', status)]);
  server.put('/next', Buffer.alloc(0), [redirect(server.url('/there').href, status)]);
  expect(await ask(url)).toMatchObject({ kind: 'answer', status: 200 });
  expect(server.asked.map(({ path }) => path)).toEqual(['/start', '/next', '/there']);
});

test('a loop ends after five redirects', async () => {
  await using server = await SymbolServer.start();
  const url = server.put('/loop', Buffer.alloc(0), () => redirect('/loop'));
  expect(await ask(url)).toMatchObject({ kind: 'failed', again: false, reason: 'redirects more than 5 times' });
  expect(server.asked).toHaveLength(6);
});

test.each<[string, string, string]>([
  ['http elsewhere', 'http://192.0.2.1/x?sig=secret', 'redirects to http://192.0.2.1/x, which is http'],
  ['a file', 'file:///etc/passwd', 'redirects to file:///etc/passwd, which is file'],
  ['no URL', 'http://', 'redirects without saying where to'],
])('a redirect to %s is refused', async (_what, location, reason) => {
  await using server = await SymbolServer.start();
  const end = await ask(server.put('/start', Buffer.alloc(0), [redirect(location)]));
  expect(end).toMatchObject({
    kind: 'failed',
    again: false,
    transient: false,
    reason: expect.stringContaining(reason),
  });
});

test('an address that may not be asked is not', async () => {
  expect(await ask(new URL('http://192.0.2.1/x'))).toMatchObject({ kind: 'failed', transient: false });
});

test('a login goes to its own place only, as Basic authentication', async () => {
  await using server = await SymbolServer.start();
  await using other = await SymbolServer.start();
  const url = server.put('/start', Buffer.alloc(0), [redirect('/next')]);
  server.put('/next', Buffer.alloc(0), [redirect(`http://you:theirs@${other.base.host}/there`)]);
  other.put('/there', Buffer.from('here'));
  url.username = 'me';
  url.password = 'p%w';
  expect(await ask(url)).toMatchObject({ kind: 'answer', status: 200 });
  const basic = `Basic ${Buffer.from('me:p%w').toString('base64')}`;
  expect(server.asked.map(({ headers }) => headers.authorization)).toEqual([basic, basic]);
  expect(other.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
});

test('identity is asked for once, with a range and without', async () => {
  await using server = await SymbolServer.start();
  const url = server.put('/object', Buffer.from('here'));
  for (const headers of [{ 'accept-encoding': 'identity' }, { range: 'bytes=0-1' }]) {
    const end = await exchange(url, headers, quick, never);
    if (end.kind === 'answer') end.body.discard();
  }
  expect(server.asked.map(({ headers }) => headers['accept-encoding'])).toEqual(['identity', 'identity']);
});

const openssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!openssl)(
  'TLS: a certificate nobody vouches for is refused at once; with one, no redirect leaves https',
  async () => {
    using scratch = makeScratch();
    const [keyPath, certPath] = [join(scratch.dir, 'key.pem'), join(scratch.dir, 'cert.pem')];
    const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const files = ['-keyout', keyPath, '-out', certPath];
    execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...names, ...files], {
      stdio: 'ignore',
    });
    const cert = readFileSync(certPath, 'utf8');
    await using server = await SymbolServer.start({ key: readFileSync(keyPath, 'utf8'), cert });
    const url = server.put('/start', Buffer.alloc(0), [redirect('/next')]);
    server.put('/next', Buffer.alloc(0), [redirect('http://192.0.2.1/')]);
    const reason = expect.stringContaining('self-signed certificate');
    expect(await ask(url)).toMatchObject({ kind: 'failed', again: false, transient: true, reason });
    expect(server.asked).toHaveLength(0);
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, cert]);
    try {
      expect(await ask(url)).toMatchObject({
        kind: 'failed',
        reason: expect.stringContaining('192.0.2.1/, which is http'),
      });
      expect(server.asked.map(({ path }) => path)).toEqual(['/start', '/next']);
    } finally {
      setDefaultCACertificates(before);
    }
  },
);
