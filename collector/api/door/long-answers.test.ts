import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { until } from '../../testing/files.ts';
import { Parties, Rig } from '../../testing/rig.ts';
import { Connections } from './connections.ts';
import { doorLimits } from './limits.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const limits: { messageMs: number } = doorLimits;
const { messageMs } = limits;
afterEach(() => {
  limits.messageMs = messageMs;
  vi.restoreAllMocks();
});

test('a call whose request is whole may be answered for longer than a message may take', async () => {
  await using rig = await Rig.start(parties);
  const { operator, agent, captureId } = await rig.ordered();
  const abort = new AbortController();
  const phases: unknown[] = [];
  const watched = (async () => {
    for await (const { capture } of operator.watchCapture({ captureId }, { signal: abort.signal }))
      phases.push(capture?.phase);
  })().catch((error: unknown) => error);
  await until(() => phases.length > 0);
  limits.messageMs = 1;
  const looks = vi.spyOn(Connections.prototype, 'sweep');
  await until(() => looks.mock.calls.length >= 3);
  // The stream is still there, and tells of what comes.
  const before = phases.length;
  await agent.open(captureId);
  await until(() => phases.length > before);
  abort.abort();
  expect(await watched).toMatchObject({ code: 'canceled' });
});
