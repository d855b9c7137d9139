import { setImmediate as turn } from 'node:timers/promises';
import { openAnonymousChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { asked, joined, renew } from '../../testing/enrolling.ts';
import { until } from '../../testing/files.ts';
import { framed, rawCall, rawSession } from '../../testing/raw-caller.ts';
import { Parties, Rig } from '../../testing/rig.ts';

// Attacks with calls that fail, from the address of those who are served meanwhile.

const parties = new Parties();
const { ca } = parties.authority;
afterAll(() => parties[Symbol.dispose]());

/** Repeats an attack, with a new channel whenever the old one was ended, as long as the work takes. Gives back the codes that it ended with. */
async function during(
  rig: Rig,
  attack: (client: ReturnType<typeof openAnonymousChannel>, round: number, signal: AbortSignal) => Promise<unknown>,
  work: () => Promise<void>,
): Promise<Map<string, number>> {
  const codes = new Map<string, number>();
  // Also for calls that wait for a connection which the collector does not take.
  const ending = new AbortController();
  const { signal } = ending;
  const attacker = async (number: number): Promise<void> => {
    for (let round = 0; !signal.aborted; round += 1) {
      const client = openAnonymousChannel(`127.0.0.1:${rig.apiPort}`, ca, { serverName: 'localhost' });
      for (let i = 0; i < 20 && !signal.aborted; i += 1) {
        const fault = await attack(client, number * 1_000_000 + round * 20 + i, signal).catch(
          (error: unknown) => error,
        );
        const code = fault instanceof Fault ? fault.code : 'served';
        codes.set(code, (codes.get(code) ?? 0) + 1);
        if (code === 'unavailable') break;
        await turn();
      }
      client.close();
    }
  };
  const attackers = Array.from({ length: 8 }, (_, number) => attacker(number));
  try {
    await work();
  } finally {
    ending.abort(new Fault('canceled', 'the attack is over'));
    await Promise.all(attackers);
  }
  return codes;
}

test('garbage join tokens do not keep one agent from its renewal', async () => {
  const startedMs = performance.now();
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const agents = await Promise.all(Array.from({ length: 16 }, (_, i) => joined(rig, `n${i}`)));
  const codes = await during(
    rig,
    async (client, i, signal) => {
      const token = `kcj_garbage-${i}`;
      const credential = { case: 'joinToken' as const, value: token };
      return await connect(EnrolmentService, client).enrol({ credential, ...asked(token).request }, { signal });
    },
    async () => {
      for (let round = 0; round < 3; round += 1)
        for (const agent of agents) expect((await renew(rig, agent)).certificate).toBeDefined();
    },
  );
  expect(codes.get('served')).toBeUndefined();
  expect(codes.get('resource_exhausted')).toBeGreaterThan(0);
  // The attacker is refused by kinds, each of which is told at most twice in ten seconds, not call by call.
  const lines = rig.logged.filter(({ code }) => code === 'resource_exhausted' || code === 'unauthenticated');
  const tells = 2 + Math.floor((performance.now() - startedMs) / 5_000);
  expect(lines.length).toBeLessThanOrEqual(4 * tells);
});

test('calls without credentials end their connection, and who is known is served', async () => {
  await using rig = await Rig.start(parties);
  const operator = rig.operator();
  const codes = await during(
    rig,
    (client, _round, signal) => connect(OperatorService, client).listNodes({}, { signal }),
    async () => {
      for (let i = 0; i < 100; i += 1) await operator.listNodes({});
    },
  );
  expect(codes.get('served')).toBeUndefined();
  expect(codes.get('unauthenticated')).toBeGreaterThan(0);
  expect(await rig.metrics()).toMatch(/kcorder_connection_refusals_total\{reason="failures"\} [1-9]/);
});

test.each([
  // What was answered before the reset is a refusal, and not a matter of calm.
  { sentence: 'of a stranger', of: undefined, goaway: [0, 2, 11] },
  // nghttp2, whose own bound may come first, has another code for it.
  { sentence: 'of somebody known', of: parties.operator, goaway: [2, 11] },
])('a connection $sentence that resets its calls again and again is ended', async ({ of, goaway }) => {
  await using rig = await Rig.start(parties);
  const session = rawSession(of === undefined ? rig.apiPort : rig.port, ca, of);
  const goaways: number[] = [];
  session.on('goaway', (code) => goaways.push(code));
  const operator = rig.operator();
  let opened = 0;
  for (; opened < 20_000 && !session.destroyed; opened += 1) {
    const { stream } = rawCall(session, '/kcorder.v1.OperatorService/ListNodes');
    stream.close(8);
    if (opened % 20 === 0) await operator.getVersion({});
  }
  await until(() => session.destroyed);
  expect(opened).toBeLessThan(20_000);
  expect(goaway).toContain(goaways[0]);
  expect(await operator.getVersion({})).toBeDefined();
});

const tooMany = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`x${i}`, 'y']));

test.each([
  { sentence: 'a stranger, too many headers', of: undefined, headers: tooMany },
  { sentence: 'a stranger, headers that are too large', of: undefined, headers: { x: 'y'.repeat(33 << 10) } },
  { sentence: 'somebody known, too many headers', of: parties.operator, headers: tooMany },
])(
  'a connection whose calls Node resets before anybody is told of them is ended for its failures: $sentence',
  async ({ of, headers }) => {
    await using rig = await Rig.start(parties);
    const session = rawSession(of === undefined ? rig.apiPort : rig.port, ca, of);
    const operator = rig.operator();
    await operator.getVersion({});
    // Then it is known.
    const path = '/kcorder.v1.OperatorService/GetVersion';
    if (of !== undefined) {
      const { stream, ended } = rawCall(session, path);
      stream.end(framed(0));
      expect((await ended).status).toBe(0);
    }
    while (!session.destroyed)
      await Promise.all(Array.from({ length: 20 }, () => rawCall(session, path, { headers }).ended));
    expect(await rig.metrics()).toMatch(/kcorder_connection_refusals_total\{reason="failures"\} 1\n/);
    expect(await operator.getVersion({})).toBeDefined();
  },
);

test('somebody who asks for captures that are not there is answered more slowly, beside others is served, and fills no log', async () => {
  await using rig = await Rig.start(parties);
  const session = rawSession(rig.port, ca, parties.operator);
  const answered: (number | undefined)[] = [];
  const call = async (method: string, message: Buffer): Promise<void> => {
    const { stream, ended } = rawCall(session, `/kcorder.v1.OperatorService/${method}`);
    stream.end(framed(message.length, message));
    answered.push((await ended).status);
  };
  const guess = () => call('GetCapture', Buffer.concat([Buffer.from([0x0a, 64]), Buffer.alloc(64, 'x')]));
  let rounds = 0;
  // What is good does not wait behind what is not: at first all are answered in their order.
  do {
    answered.length = 0;
    rounds += 1;
    await Promise.all([...Array.from({ length: 25 }, guess), call('GetVersion', Buffer.alloc(0))]);
    expect(answered.toSorted()).toEqual([0, ...Array(25).fill(5)]);
  } while (answered.at(-1) === 0 && rounds < 100);
  expect(rounds).toBeGreaterThan(7);
  expect(rounds).toBeLessThan(100);
  expect(session.destroyed).toBe(false);
  session.destroy();
  const lines = () => rig.logged.filter(({ code }) => code === 'capture_unknown');
  await rig.stopCollector();
  expect(lines().length).toBeLessThan(10);
  expect(lines().reduce((sum, { count }) => sum + Number(count), 0)).toBe(25 * rounds);
});
