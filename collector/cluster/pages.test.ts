import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Inventory } from './inventory.ts';
import { type ListPage, PageSize, readPages } from './pages.ts';
import { placesOf } from './pods.ts';
import { FakeApiServer } from './testing/api-server.ts';

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

/** Lists of objects of these sizes, in bytes of JSON; gives back the bytes of each page too. */
function listOf(sizes: readonly number[]): { list: ListPage<string>; pages: number[] } {
  const pages: number[] = [];
  const list: ListPage<string> = async ({ limit, _continue = '0' }) => {
    const from = Number(_continue);
    const items = sizes.slice(from, from + limit).map((size) => 'x'.repeat(size));
    const bytes = items.join('').length;
    pages.push(bytes);
    const next = from + limit < sizes.length ? { _continue: String(from + limit) } : {};
    return { items, metadata: { ...next, selfLink: String(bytes) } };
  };
  return { list, pages };
}

async function countOf(list: ListPage<string>, size?: PageSize): Promise<number> {
  let count = 0;
  for await (const { items } of readPages(list, size)) count += items.length;
  return count;
}

test.each([
  ['of one size, large', Array.from({ length: 500 }, () => 1 << 20), 5 << 20],
  ['small, then large', Array.from({ length: 600 }, (_, i) => (i < 300 ? 10 : 1 << 20)), 25 << 20],
])('objects %s: no page but the first two of them is large', async (_, sizes, most) => {
  const { list, pages } = listOf(sizes);
  expect(await countOf(list)).toBe(sizes.length);
  const large = pages.filter((bytes) => bytes > 4 << 20);
  expect(large.length).toBeLessThanOrEqual(2);
  expect(Math.max(...large)).toBeLessThanOrEqual(most);
});

test('small objects come by twenty-five', async () => {
  const { list, pages } = listOf(Array.from({ length: 10_000 }, () => 100));
  expect(await countOf(list)).toBe(10_000);
  expect(pages.length).toBeLessThan(405);
});

test('a page that cannot be read is asked for with half as many the next time', async () => {
  const size = new PageSize();
  const asked: number[] = [];
  const list: ListPage<string> = async ({ limit }) => {
    asked.push(limit);
    if (limit > 4) throw new Error('Cannot create a string longer than 0x1fffffe8 characters');
    return { items: ['x'] };
  };
  while ((await countOf(list, size).catch(() => undefined)) === undefined);
  expect(asked).toEqual([5, 2]);
});

/** Somebody's pods with as much as the API server takes, in an environment that nobody reads. */
function putFatPods(count: number): void {
  for (let i = 0; i < count; i += 1)
    api.put('pods', {
      metadata: { namespace: 'fat', name: `pod-${i}`, uid: `u-${i}` },
      spec: { nodeName: 'n1', containers: [{ name: 'c', env: [{ name: 'E', value: 'x'.repeat(1 << 20) }] }] },
    } as never);
}

test('fat pods of somebody come in small pages, to the inventory and to whoever looks for pods', async () => {
  putFatPods(60);
  const inventory = new Inventory(api.cluster, { nodeGone: () => undefined, failed: () => undefined });
  inventory.start();
  await vi.waitFor(() => expect(inventory.inStepAt).toBeDefined(), { timeout: 60_000 });
  inventory.stop();
  const limits = api.asked.filter((path) => path.startsWith('/api/v1/pods?limit')).map((path) => limitOf(path));
  expect(Math.max(...limits)).toBe(5);
  expect(limits.slice(1).every((limit) => limit <= 4)).toBe(true);
  api.answer = (_method, path) => (path.includes('/namespaces/fat/pods') ? endlessPage : undefined);
  await expect(placesOf(api.cluster, 'fat', '', (question) => question())).rejects.toMatchObject({
    code: 'invalid_argument',
  });
}, 120_000);

const limitOf = (path: string): number => Number(new URL(path, 'http://fake').searchParams.get('limit'));

/** Each says that there is more. */
const endlessPage = {
  kind: 'List',
  metadata: { continue: 'more' },
  items: Array.from({ length: 100 }, () => ({ metadata: {} })),
};
