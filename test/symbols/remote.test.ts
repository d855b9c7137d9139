import { createReadStream, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildIsf } from '../../collector/symbols/build/builder.ts';
import { confineBy } from '../../collector/symbols/confine.ts';
import { openSymbols } from '../../collector/symbols/open.ts';
import type { KernelIdentity } from '../../collector/symbols/symbols.ts';
import { buildIdOf } from '../../collector/symbols/testing/build-id-of.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux } from '../../tools/setup/vmlinux.ts';

const never = new AbortController().signal;
const cosBuildId = '18613.0.79';

/** A server that has one large file under the names of cos-tools and of a debuginfod, and counts what it serves. */
class FileServer {
  servedBytes = 0;
  requests: string[] = [];
  readonly #server: Server;

  constructor(path: string, names: readonly string[], ranges: boolean) {
    const { size } = statSync(path);
    this.#server = createServer((request, response) => {
      const url = request.url ?? '';
      this.requests.push(url);
      if (!names.includes(url)) {
        response.writeHead(404).end();
        return;
      }
      const [, first, last] = (ranges ? /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') : undefined) ?? [];
      const [start, end] =
        first === undefined ? [0, size - 1] : [Number(first), Math.min(size - 1, Number(last || size - 1))];
      response.writeHead(first === undefined ? 200 : 206, {
        'content-length': end - start + 1,
        ...(first === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }),
      });
      createReadStream(path, { start, end })
        .on('data', (chunk) => (this.servedBytes += chunk.length))
        .pipe(response);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe("a real kernel's vmlinux that lies elsewhere", () => {
  let dir: string;
  let vmlinux: string;
  let kernel: KernelIdentity;
  let expected: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kcorder-remote-'));
    const { release } = await ensureKernel('6.1');
    vmlinux = await ensureVmlinux(await ensureKernel('6.1'));
    const end = await buildIsf(
      { kind: 'elf', path: vmlinux },
      { banner: '', release },
      join(dir, 'local.json'),
      confineBy('python3'),
      never,
    );
    if (end.kind !== 'built') throw new Error(end.problem);
    expected = end.sha256;
    const buildId = await buildIdOf(vmlinux);
    kernel = { buildId, banner: end.banner, release, architecture: 'x86_64', cosBuildId };
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const names = () => [`/cos-tools/${cosBuildId}/lakitu/vmlinux`, `/buildid/${kernel.buildId}/debuginfo`];
  const open = (base: string, name: string, source: 'cos' | 'debuginfod') =>
    openSymbols(
      join(dir, name),
      {
        symbolDirs: [],
        symbolCacheBytes: 1 << 30,
        symbolBuckets: [],
        cosUrl: source === 'cos' ? `${base}/cos-tools` : '',
        debuginfodUrls: source === 'debuginfod' ? [base] : [],
        dwarf2json: '',
        python: 'python3',
      },
      { ask: async () => ({ kind: 'offline' }), attached: () => [] },
      () => undefined,
    );

  test('is read by ranges, only what is needed and once for all who ask, and gives the same ISF as the file at hand', async () => {
    const server = new FileServer(vmlinux, names(), true);
    try {
      const search = await open(await server.listen(), 'cos', 'cos');
      const ends = await Promise.all(Array.from({ length: 10 }, () => search.find(kernel, never)));
      expect(ends[0]).toMatchObject({ kind: 'ready', quality: 'dwarf', isfSha256: expected });
      expect(new Set(ends.map((end) => JSON.stringify(end))).size).toBe(1);
      expect(server.servedBytes).toBeLessThan(statSync(vmlinux).size / 2);
      expect(server.requests.filter((url) => url === `/cos-tools/${cosBuildId}/vmlinux`).length).toBe(1);
      expect(readdirSync(join(dir, 'cos', 'work'))).toEqual([]);
    } finally {
      server.close();
    }
  });

  test('is read whole from a server without ranges', async () => {
    const server = new FileServer(vmlinux, names(), false);
    try {
      const search = await open(await server.listen(), 'debuginfod', 'debuginfod');
      expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready', isfSha256: expected });
      expect(readdirSync(join(dir, 'debuginfod', 'work'))).toEqual([]);
    } finally {
      server.close();
    }
  });

  test("of another build than the node's is refused after its headers", async () => {
    const server = new FileServer(vmlinux, [`/cos-tools/${cosBuildId}/lakitu/vmlinux`], true);
    try {
      const search = await open(await server.listen(), 'other', 'cos');
      const end = await search.find({ ...kernel, buildId: 'ab'.repeat(20) }, never);
      expect(end).toMatchObject({ kind: 'mismatch', detail: expect.stringContaining(kernel.buildId) });
      expect(server.servedBytes).toBeLessThan(4 << 20);
    } finally {
      server.close();
    }
  });

  test('with another banner than the node tells is a contradiction, which a node with the right one does not suffer from', async () => {
    const server = new FileServer(vmlinux, names(), true);
    try {
      const search = await open(await server.listen(), 'banner', 'cos');
      const lying = { ...kernel, banner: `${kernel.banner} (not)` };
      for (let time = 0; time < 2; time += 1) {
        expect(await search.find(lying, never)).toMatchObject({
          kind: 'mismatch',
          detail: expect.stringContaining('(not)'),
        });
      }
      const before = server.servedBytes;
      expect(await search.find(kernel, never)).toMatchObject({ kind: 'ready', isfSha256: expected });
      expect(server.servedBytes).toBe(before);
    } finally {
      server.close();
    }
  });
});
