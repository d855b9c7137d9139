import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileBounds, readBounded } from './files.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-files-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each([0, 1, 4_096, 4_097, fileBounds.webhooks])('a file of %d bytes is read as it is', async (sizeBytes) => {
  const path = join(dir, 'file');
  writeFileSync(path, Buffer.alloc(sizeBytes, 'x'));
  expect((await readBounded(path, 'webhooks')).equals(Buffer.alloc(sizeBytes, 'x'))).toBe(true);
});

test('a file of a byte more is refused with its size and its bound, and a huge one before it is read', async () => {
  const path = join(dir, 'large');
  writeFileSync(path, '');
  truncateSync(path, fileBounds.webhooks + 1);
  await expect(readBounded(path, 'webhooks')).rejects.toThrow(`${path} has 1048577 bytes: at most 1048576 are taken`);
  truncateSync(path, 2 ** 40);
  const before = process.memoryUsage().rss;
  for (const kind of Object.keys(fileBounds) as (keyof typeof fileBounds)[])
    await expect(readBounded(path, kind)).rejects.toThrow('1099511627776 bytes: at most');
  expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
});

test('a file that is not there is told as the file system tells it', async () => {
  await expect(readBounded(join(dir, 'none'), 'manifest')).rejects.toMatchObject({ code: 'ENOENT' });
});
