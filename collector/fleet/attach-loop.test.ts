import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Client } from '@grpc/grpc-js';
import { afterAll, expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { HandAgent } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const heldBytes = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

/** Attaches once with these facts, and is gone again. */
async function attachAndLeave(channel: Client, kernel: object): Promise<string> {
  const agent = new HandAgent(channel);
  const end = await until(async () => {
    const refused = await agent.attach({ kernel }).then(
      () => 'welcomed',
      (error: Error & { code: string }) => `${error.code}: ${error.message}`,
    );
    // The stream before it may not have ended yet, or the door has had enough of this connection.
    return !/^(already_attached|unavailable)/.test(refused) && refused;
  });
  if (end === 'welcomed') await agent.leave();
  return end;
}

test.each([
  { factsBytes: 900_000, says: /^message_too_large: .*AgentService\/Attach takes/ },
  { factsBytes: 200_000, says: /^invalid_argument: .*vmcoreinfo has 200000 bytes: at most 65536/ },
])('$factsBytes bytes of kernel facts are refused, however often they come, and nothing of them stays', async (row) => {
  const { factsBytes, says } = row;
  await using rig = await Rig.start(parties);
  const channel = rig.channel(parties.node('n1'));
  await attachAndLeave(channel, { vmcoreinfo: 'x'.repeat(factsBytes) });
  const before = heldBytes();
  const refusals: string[] = [];
  for (let index = 0; index < 100; index += 1) {
    const kernel = { release: String(index), vmcoreinfo: String(index).padEnd(factsBytes, 'x') };
    refusals.push(await attachAndLeave(channel, kernel));
  }
  // The end of a stream of which not all was read can overtake what it says.
  expect(
    refusals.filter((refusal) => !says.test(refusal) && !/^(canceled|internal|resource_exhausted)/.test(refusal)),
  ).toEqual([]);
  expect(refusals.some((refusal) => says.test(refusal))).toBe(true);
  await until(() => heldBytes() - before < 16 << 20);
  expect(statSync(join(rig.dataDir, 'kcorder.db-wal')).size).toBeLessThan(1 << 20);
  expect((await rig.operator().listNodes({})).nodes).toEqual([]);
});

test('a node that attaches in a loop, each time with another kernel of the longest facts, is held once', async () => {
  await using rig = await Rig.start(parties);
  const channel = rig.channel(parties.node('n1'));
  const attach = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index += 1) {
      const [facts, words] = [64 << 10, 4 << 10].map((size) => String(index).padEnd(size, 'x'));
      const kernel = { release: words, banner: words, buildId: words, architecture: 'x86_64', vmcoreinfo: facts };
      expect(await attachAndLeave(channel, kernel)).toBe('welcomed');
      rig.logged.length = 0;
    }
  };
  // Memory that is held once, or that the test before left to be collected, is no growth.
  await attach(0, 50);
  const before = heldBytes();
  await attach(50, 650);
  // All facts together are 46 MB; what searches go by is a sixth of it, and is said again in what they found.
  await until(() => heldBytes() - before < 24 << 20);
  const database = ['kcorder.db', 'kcorder.db-wal'].map((name) => statSync(join(rig.dataDir, name)).size);
  expect(Math.max(...database)).toBeLessThan(8 << 20);
});
