import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { makeScratch } from '../../collector/testing/files.ts';
import { makeAuthority } from '../../tools/certificates.ts';

const scratch = makeScratch();
afterAll(() => scratch[Symbol.dispose]());
const authority = makeAuthority(join(scratch.dir, 'ca'));
const leaf = authority.server();
const path = '/storage/v1/b/login/o/captures%2Fcap%2Fimage.lime';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

/** A bucket behind TLS, and the metadata server of a node of GKE, which gives tokens to pods with Workload Identity. */
async function stage(
  answer: (request: IncomingMessage) => number,
  token: (index: number) => [number, object],
  location = '',
) {
  const seen: string[] = [];
  let tokens = 0;
  const serveBucket: RequestListener = (request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`);
    response.writeHead(answer(request), { 'content-type': 'application/json', location });
    response.end(JSON.stringify({ size: '3', generation: '1', crc32c: 'AAAAAA==' }));
  };
  const bucketServer = createHttpsServer({ cert: leaf.certificate, key: leaf.key }, serveBucket);
  const bucket = await listen(bucketServer);
  const metadataServer = createHttpServer((request, response) => {
    const isToken = request.url?.includes('/service-accounts/default/token') ?? false;
    const [status, json] = isToken ? token(tokens++) : [200, {}];
    response.writeHead(status, { 'content-type': 'application/json', 'metadata-flavor': 'Google' });
    response.end(JSON.stringify(json));
  });
  const metadata = await listen(metadataServer);
  return {
    endpoint: `https://127.0.0.1:${bucket}`,
    env: { GCE_METADATA_HOST: `127.0.0.1:${metadata}`, METADATA_SERVER_DETECTION: 'assume-present' },
    seen,
    tokens: () => tokens,
    [Symbol.dispose]() {
      for (const server of [bucketServer, metadataServer]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** What calls in a new process come to. */
async function ask(
  endpoint: string,
  env: Readonly<Record<string, string>>,
  what: 'find' | 'find twice' | 'put' = 'find',
): Promise<unknown[]> {
  const script = join(import.meta.dirname, 'ask-store.ts');
  const home = { PATH: process.env.PATH ?? '', HOME: scratch.dir, NODE_EXTRA_CA_CERTS: join(authority.dir, 'ca.crt') };
  const options = { env: { ...home, ...env }, cwd: scratch.dir };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, endpoint, what], options);
  expect(`${stdout}${stderr}`, 'no token is shown').not.toMatch(/secret-\d/);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

const good = (index: number): [number, object] => [
  200,
  { access_token: `secret-${index}`, expires_in: 3599, token_type: 'Bearer' },
];

// Side by side: most of the time the SDK waits, or looks for a node of Google's.
describe.concurrent('login', () => {
  test('with Workload Identity each request carries the token of the metadata server', async () => {
    using staged = await stage(() => 200, good);
    const found = { found: 'gs://login/captures/cap/image.lime' };
    expect(await ask(staged.endpoint, staged.env, 'find twice')).toEqual([found, found]);
    expect(staged.seen).toEqual([`${path} Bearer secret-0`, `${path} Bearer secret-0`]);
    expect(staged.tokens()).toBe(1);
  });

  test('a login that is not accepted any more is asked for anew at the next call', async () => {
    const isOld = ({ headers }: IncomingMessage): boolean => headers.authorization === 'Bearer secret-0';
    using staged = await stage((request) => (isOld(request) ? 401 : 200), good);
    expect(await ask(staged.endpoint, staged.env, 'find twice')).toMatchObject([
      { code: 'store_refused', message: expect.stringContaining('bucket login does not accept the login') },
      { found: 'gs://login/captures/cap/image.lime' },
    ]);
  });

  test.each([
    ['refuses', 403, 'store_refused', 'there is no login for Google Cloud Storage (HTTP 403)'],
    ['knows no service account', 404, 'store_refused', 'there is no login for Google Cloud Storage (HTTP 404)'],
    ['is unwell', 503, 'storage_failed', 'no login'],
  ])('a metadata server that %s', async (_, status, code, words) => {
    using staged = await stage(
      () => 200,
      () => [status, { error: 'secret-9' }],
    );
    const message = expect.stringContaining(words);
    expect(await ask(staged.endpoint, staged.env)).toMatchObject([{ code, message }]);
    expect(staged.seen, 'nothing goes out without a login').toEqual([]);
  });

  test('without any credentials it says what to set up', async () => {
    using staged = await stage(() => 200, good);
    expect(await ask(staged.endpoint, { METADATA_SERVER_DETECTION: 'none' })).toMatchObject([
      { code: 'store_refused', message: expect.stringContaining('no credentials were found') },
    ]);
    expect(staged.seen).toEqual([]);
  });

  test('a login is not shown to an address without TLS that the server names', async () => {
    // The first look says that nothing is there, the second request is answered with the address of a session.
    using staged = await stage(
      ({ method }) => (method === 'GET' ? 404 : 200),
      good,
      'http://127.0.0.1:1/upload?upload_id=secret-8',
    );
    expect(await ask(staged.endpoint, staged.env, 'put')).toMatchObject([
      { code: 'store_refused', message: expect.stringContaining('leads to an address without TLS') },
    ]);
  });

  test('a certificate that nobody vouches for gets no token', async () => {
    using staged = await stage(() => 200, good);
    const message = expect.stringMatching(/certificate of https:.* is not trusted .*NODE_EXTRA_CA_CERTS/);
    expect(await ask(staged.endpoint, { ...staged.env, NODE_EXTRA_CA_CERTS: '' })).toMatchObject([
      { code: 'store_refused', message },
    ]);
    expect(staged.seen).toEqual([]);
  });
});
