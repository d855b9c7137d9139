import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand } from '../fixtures/command.ts';
import { takenMs } from '../fixtures/lab-capture.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

async function kcorder(args: string[], handlers: Parameters<typeof startCollector>[1]) {
  await using collector = await startCollector(certificates, handlers);
  return await runCommand([...args, '--collector', collector.address, '--tls-dir', certificates.operatorDir]);
}

const expiresAt = timestampFromMs(takenMs);

test.each([
  ['for as long as the collector thinks right', [], undefined],
  ['for a time', ['--for', '4h'], 14_400n],
])('approve allows one capture %s', async (_what, options, seconds) => {
  const seen: unknown[] = [];
  const ran = await kcorder(['approve', 'lab-1', '--reason', 'INC-1 "x"', ...options], {
    approveCapture: async ({ nodeName, reason, validFor }) => {
      seen.push([nodeName, reason, validFor?.seconds]);
      return { expiresAt };
    },
  });
  expect(seen).toEqual([['lab-1', 'INC-1 "x"', seconds]]);
  expect(ran.stdout).toBe('NODE   APPROVED UNTIL (UTC)  REASON\nlab-1  2026-11-22 19:03:11   INC-1 "x"\n');
  expect(ran.stderr).toContain('Who asked repeats the command.');
  expect(ran.exit).toBe(0);
});

test('approve in JSON', async () => {
  const ran = await kcorder(['approve', 'lab-1', '--reason', 'x\x1b', '-o', 'json'], {
    approveCapture: async () => ({ expiresAt }),
  });
  expect(ran.stdout).toContain('"x\\u001b"');
  expect(JSON.parse(ran.stdout)).toEqual({ nodeName: 'lab-1', reason: 'x\x1b', expiresAt: '2026-11-22T19:03:11Z' });
});

test('an approval that is refused is told in the words of the collector', async () => {
  const ran = await kcorder(['approve', 'lab-1', '--reason', 'x'], {
    approveCapture: () => Promise.reject(new Fault('permission_denied', 'alice may not approve captures')),
  });
  expect(ran).toEqual({ exit: 1, stdout: '', stderr: 'kcorder: alice may not approve captures.\n' });
});

test('join-token create prints the token alone, and for whom on stderr', async () => {
  const seen: unknown[] = [];
  const create = ['join-token', 'create', '--node', 'db-7', '--uid', 'u-7'];
  const handlers: Parameters<typeof startCollector>[1] = {
    createJoinToken: async ({ nodeName, nodeUid, validFor }) => {
      seen.push([nodeName, nodeUid, validFor?.seconds]);
      return { token: 'kct_abc', expiresAt };
    },
  };
  const ran = await kcorder(create, handlers);
  expect(ran).toEqual({
    exit: 0,
    stdout: 'kct_abc\n',
    stderr: 'A secret that works once, for the agent of db-7, until 2026-11-22 19:03:11 UTC.\n',
  });
  const json = await kcorder([...create, '--for', '1h', '-o', 'json'], handlers);
  expect(JSON.parse(json.stdout)).toEqual({ token: 'kct_abc', expiresAt: '2026-11-22T19:03:11Z' });
  expect(seen).toEqual([
    ['db-7', 'u-7', undefined],
    ['db-7', 'u-7', 3600n],
  ]);
});
