import { status } from '@grpc/grpc-js';
import { afterAll, expect, test } from 'vitest';
import { framed, rawCall, rawSession } from '../../testing/raw-caller.ts';
import { Parties, Rig } from '../../testing/rig.ts';
import { doorLimits } from './limits.ts';

// Attacks with requests: each is carried out against a real collector, while somebody known goes on working.

const parties = new Parties();
const { ca } = parties.authority;
afterAll(() => parties[Symbol.dispose]());

const path = (name: string): string => `/kcorder.v1.${name}`;

/** Runs an attack while somebody known calls again and again; gives back by how much the most memory in use grew, in bytes. */
async function grownBy(rig: Rig, attack: () => Promise<void>): Promise<number> {
  const operator = rig.operator();
  const used = (): number => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  await operator.getVersion({});
  const before = used();
  let most = before;
  const attacking = { is: true };
  const served = (async () => {
    while (attacking.is) {
      await operator.getVersion({});
      most = Math.max(most, used());
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  try {
    await attack();
  } finally {
    attacking.is = false;
    await served;
  }
  return most - before;
}

test('40 connections with 32 unfinished requests of 1 MiB each: nobody unknown has a body read', async () => {
  await using rig = await Rig.start(parties);
  const body = framed(1 << 20).subarray(0, (1 << 20) - 1);
  const sessions = Array.from({ length: 40 }, () => rawSession(rig.apiPort, ca));
  const grown = await grownBy(rig, async () => {
    const calls = sessions.flatMap((session) =>
      Array.from({ length: 32 }, () => {
        const call = rawCall(session, path('OperatorService/CreateCapture'));
        call.stream.write(body);
        return call.ended;
      }),
    );
    const endings = await Promise.all(calls);
    const statuses = new Set(endings.map((ending) => ending.status));
    // Without a status: the connection was ended, since so much was refused on it.
    expect([...statuses].filter((one) => one !== undefined)).toEqual([status.UNAUTHENTICATED]);
  });
  for (const session of sessions) session.destroy();
  expect(grown).toBeLessThan(128 << 20);
});

test('Health/Watch with names of 1 MB is not for strangers, and not for anybody known', async () => {
  await using rig = await Rig.start(parties);
  const watch = '/grpc.health.v1.Health/Watch';
  const message = framed(1_000_000);
  for (const [session, code] of [
    [rawSession(rig.apiPort, ca), status.UNAUTHENTICATED],
    [rawSession(rig.port, ca, parties.operator), status.RESOURCE_EXHAUSTED],
  ] as const) {
    const { stream, ended } = rawCall(session, watch);
    stream.end(message);
    expect(await ended).toMatchObject({ status: code });
    session.destroy();
  }
});

test('a call that ends before its body does not keep its stream: one without a readable time limit, one that is answered early', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const [stranger, node] = [rawSession(rig.apiPort, ca), rawSession(rig.port, ca, parties.node('n1'))];
  const part = framed(20_000).subarray(0, 10_000);
  const unreadable = rawCall(stranger, path('EnrolmentService/Enrol'), { headers: { 'grpc-timeout': 'x' } });
  unreadable.stream.write(part);
  // An upload that nobody ordered: its handler answers the first message.
  const early = rawCall(node, path('IngestService/Upload'));
  early.stream.write(framed(2));
  // Neither of them ever ends its half.
  expect((await Promise.all([unreadable.ended, early.ended])).map(({ rstCode }) => rstCode)).toEqual([0, 0]);
  for (const session of [stranger, node]) session.destroy();
});

test('requests for enrolment that are never finished share one bound of their address, and what is too much is to come later', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const enrol = path('EnrolmentService/Enrol');
  const part = framed(20_000).subarray(0, 19_000);
  const sessions = Array.from({ length: 4 }, () => rawSession(rig.apiPort, ca));
  // Fewer on each than fail before a connection is ended.
  const calls = sessions.flatMap((session) => Array.from({ length: 4 }, () => rawCall(session, enrol)));
  expect(calls.length * part.length).toBeGreaterThan(doorLimits.bodiesOfAddress);
  for (const { stream } of calls) stream.write(part);
  const refused = await Promise.any(
    calls.map(async ({ ended }) => {
      const ending = await ended;
      if (ending.status === undefined) throw new Error('no status');
      return ending;
    }),
  );
  expect(refused).toMatchObject({ status: status.RESOURCE_EXHAUSTED, pushbackMs: 1_000 });
  const other = rawSession(rig.apiPort, ca, undefined, {}, '127.0.0.2');
  const honest = rawCall(other, enrol);
  honest.stream.write(part);
  honest.stream.end(Buffer.alloc(1_005));
  // It is read, and holds no request.
  expect(await honest.ended).toMatchObject({ status: status.INVALID_ARGUMENT });
  for (const session of [...sessions, other]) session.destroy();
});

test.each([
  { sentence: 'larger than its method takes', head: framed(17_000, Buffer.alloc(0)), code: status.RESOURCE_EXHAUSTED },
  { sentence: 'compressed', head: framed(10, Buffer.alloc(10), 1), code: status.UNIMPLEMENTED },
])('a message that is $sentence is refused by its head', async ({ head, code }) => {
  await using rig = await Rig.start(parties);
  const session = rawSession(rig.port, ca, parties.operator);
  const { stream, ended } = rawCall(session, path('OperatorService/CreateCapture'));
  stream.write(head);
  expect(await ended).toMatchObject({ status: code });
  expect(await rig.operator().getVersion({})).toBeDefined();
  session.destroy();
});

test('thousands of empty messages in one frame are not all decoded', async () => {
  await using rig = await Rig.start(parties);
  const session = rawSession(rig.port, ca, parties.node('n1'));
  const { stream, ended } = rawCall(session, path('IngestService/Upload'));
  stream.write(Buffer.alloc(5 * 3_000));
  expect(await ended).toMatchObject({ status: status.RESOURCE_EXHAUSTED, message: expect.stringContaining('at once') });
  session.destroy();
});

test('reflection whose answers are not read: no more is read than is answered', async () => {
  await using rig = await Rig.start(parties);
  const operator = rig.operator();
  const session = rawSession(rig.port, ca, parties.operator, { initialWindowSize: 1_000 });
  const reflection = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const symbol = Buffer.from('kcorder.v1.OperatorService');
  const request = framed(symbol.length + 2, Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]));
  const grown = await grownBy(rig, async () => {
    const { stream } = rawCall(session, reflection, { leaveAnswers: true });
    let taken = 0;
    const batch = Buffer.concat(Array.from({ length: 32 }, () => request));
    // 2 MB of requests, each when the one before was sent.
    const send = (): void => {
      if (taken < 2_000_000 && !stream.destroyed) stream.write(batch, () => send());
      taken += batch.length;
    };
    send();
    // As long as more is taken than before, after many calls of another.
    for (let before = -1; before !== taken; ) {
      before = taken;
      for (let i = 0; i < 200; i += 1) await operator.getVersion({});
    }
    expect(taken).toBeLessThan(1_000_000);
    stream.destroy();
  });
  session.destroy();
  expect(grown).toBeLessThan(64 << 20);
});
