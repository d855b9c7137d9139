import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { framed, rawCall, rawSession } from '../../testing/raw-caller.ts';
import { Parties, Rig } from '../../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());
afterEach(() => void vi.restoreAllMocks());

const method = '/kcorder.v1.OperatorService/ListNodes';

test.each([
  ['a stranger', 'authorization', 'Bearer secret-of-alice\t'],
  ['a stranger', 'x-odd', `\x9b31m${'x'.repeat(10_000)}\xff`],
  ['somebody known', 'x-odd', `\x9b31m${'x'.repeat(10_000)}\xff`],
])('nothing of a header of %s is printed, however odd its value: %s', async (who, name, value) => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const printed: unknown[] = [];
  for (const print of ['error', 'warn', 'log', 'info'] as const)
    vi.spyOn(console, print).mockImplementation((...words) => void printed.push(words));
  const isKnown = who === 'somebody known';
  const session = rawSession(
    isKnown ? rig.port : rig.apiPort,
    parties.authority.ca,
    isKnown ? parties.operator : undefined,
  );
  const call = rawCall(session, method, { headers: { [name]: value } });
  call.stream.end(framed(0));
  expect((await call.ended).status).toBe(isKnown ? 0 : 16);
  session.destroy();
  expect(printed).toEqual([]);
});
