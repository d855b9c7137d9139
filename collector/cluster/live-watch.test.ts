import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Inventory } from './inventory.ts';
import { FakeApiServer } from './testing/api-server.ts';

let api: FakeApiServer;
let inventory: Inventory;
let failures: string[];
const crashes: unknown[] = [];
const noteCrash = (reason: unknown) => void crashes.push(reason);
const node = (name: string) => ({ metadata: { name, uid: `uid-${name}` } });
const inStepMs = (): number => inventory.inStepAt?.getTime() ?? 0;
const watches = (): number => api.asked.filter((path) => path.includes('watch=true')).length;
const follow = (silenceMs: number): void => {
  const events = { nodeGone: () => undefined, failed: (error: unknown) => void failures.push(String(error)) };
  inventory = new Inventory(api.cluster, events, { watchSeconds: 3_600, silenceMs });
  inventory.start();
};

beforeEach(async () => {
  api = await FakeApiServer.start();
  failures = [];
  crashes.length = 0;
  process.on('unhandledRejection', noteCrash);
});

afterEach(async () => {
  inventory.stop();
  process.off('unhandledRejection', noteCrash);
  await api[Symbol.asyncDispose]();
});

// So an API server can answer that does not have the version (kubernetes#104171), and a proxy that has no server.
test.each([
  ['nothing', ''],
  ['a page', '<html>502 Bad Gateway</html>\n'],
  ['JSON that is no event', '{"message":"maintenance"}\n'],
  ['text', '"maintenance"\n'],
  ['an event without an object', '{"type":"ADDED"}\n'],
  ['an error without an object', '{"type":"ERROR"}\n'],
  ['an object without a version', '{"type":"ADDED","object":{"metadata":{"name":"n9"}}}\n'],
  ['a bookmark without a version', '{"type":"BOOKMARK","object":{"metadata":{}}}\n'],
  ['an object of an unknown kind', '{"type":"PATCHED","object":{"metadata":{"name":"n9","resourceVersion":"9"}}}\n'],
  ['an error other than a version that is gone', '{"type":"ERROR","object":{"code":500}}\n'],
])('watches that are answered with %s and end at once prove nothing', async (_, answer) => {
  api.watchAnswer = answer;
  follow(600_000);
  await until(() => inventory.inStepAt !== undefined && watches() >= 2);
  const before = inStepMs();
  // The third watch of a kind begins after the second has ended.
  await until(() => watches() >= 6);
  expect(inStepMs()).toBe(before);
  expect(inventory.nodeUid('n9')).toBeUndefined();
  expect(crashes).toEqual([]);
});

test('an event whose object is of a wrong type ends its watch, and the list goes on', async () => {
  const conditions = '{"conditions":1}';
  api.watchAnswer = `{"type":"ADDED","object":{"metadata":{"name":"n9","resourceVersion":"9"},"status":${conditions}}}\n`;
  follow(600_000);
  await until(() => failures.some((failure) => failure.includes('/nodes failed: an event cannot be read')));
  api.watchAnswer = undefined;
  api.put('nodes', node('n1'));
  await until(() => inventory.nodeUid('n1') !== undefined);
  expect(crashes).toEqual([]);
});

test.each([
  ['nothing', ''],
  ['an error other than a version that is gone', '{"type":"ERROR","object":{"code":500}}\n'],
])('when watches have been answered with %s for long enough, the list is read again', async (_, answer) => {
  api.watchAnswer = answer;
  follow(1_500);
  await until(() => inventory.inStepAt !== undefined && watches() >= 2);
  const before = inStepMs();
  api.put('nodes', node('n1'));
  await until(() => inventory.nodeUid('n1') !== undefined && inStepMs() > before);
  expect(failures.some((failure) => failure.includes('is frozen'))).toBe(true);
});
