import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

test('no port is given twice while this process lives, and each can be listened on', async () => {
  const ports = await Promise.all(Array.from({ length: 100 }, freePort));
  expect(new Set(ports).size).toBe(100);
  const servers = await Promise.all(
    ports.map(
      (port) =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
            .once('error', reject)
            .listen(port, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  for (const server of servers) server.close();
});
