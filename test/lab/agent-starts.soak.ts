import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { startNode } from '../../tools/lab/node.ts';

const starts = 50;

test.each(['6.1', 'newest'])(`${starts} agents in a row start on a node with kernel %s`, async (kernel) => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-starts-'));
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const collectorPort = typeof address === 'object' && address ? address.port : 0;
  const certDir = makeAuthority(join(dir, 'tls')).agent('starts', 'uid').dir;
  const node = await startNode({ name: `starts-${kernel.replace('.', '-')}`, kernel, memoryMiB: 768 });
  const failures: string[] = [];
  try {
    for (let start = 1; start <= starts; start += 1) {
      try {
        await node.startAgent({ collectorPort, certDir });
      } catch (error) {
        failures.push(`start ${start}: ${error instanceof Error ? error.message : error}`);
      }
      await node.stopAgent('KILL');
    }
    const crashes = await node.must('dmesg | grep -ciE "segfault|traps:|general protection|invalid opcode" || true');
    process.stdout.write(`kernel ${kernel}: ${starts - failures.length} of ${starts} agents started\n`);
    expect(failures).toEqual([]);
    expect(crashes.trim()).toBe('0');
  } finally {
    await node.stop();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
