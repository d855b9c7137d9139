import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import type { Enrolled } from './enrol.ts';
import { keepIdentity, renewal, untilRenewal } from './keep.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-keep-'));
const tokenFile = join(dir, 'token');
writeFileSync(tokenFile, 'token');
afterAll(() => rmSync(dir, { recursive: true }));

const minute = 60_000;
const issuedAt = Date.parse('2030-01-01T00:00:00Z');
const enrolled: Enrolled = {
  certificate: Buffer.alloc(0),
  key: Buffer.alloc(0),
  uri: 'spiffe://kcorder/node/lab-1/uid-1',
  notBefore: new Date(issuedAt - 5 * minute),
  notAfter: new Date(issuedAt + 60 * minute),
  trustBundle: '',
};

/** Keeps an identity with waits of nothing until `enrol`, which also renews, has answered `count` times; what was logged. */
async function kept(enrol: (count: number) => Enrolled, count: number, now: () => number) {
  const ending = new AbortController();
  const logged: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const none = { minMs: 1, maxMs: 1 };
  let calls = 0;
  const next = async (): Promise<Enrolled> => {
    calls += 1;
    if (calls > count) {
      ending.abort();
      throw new Error('over');
    }
    return enrol(calls);
  };
  const deps = {
    tokenFile,
    enrol: next,
    renew: next,
    take: () => undefined,
    renewal: { share: 0, jitter: 0, floorMs: 0, absent: none, refused: none },
    log,
    now,
  };
  await keepIdentity(deps, ending.signal);
  return logged;
}

test('renewed at half of the life, put off by a twentieth at most', () => {
  expect(untilRenewal(enrolled, renewal, 0)).toBe(32.5 * minute);
  expect(untilRenewal(enrolled, renewal, 1)).toBe(35.75 * minute);
});

test('a certificate that hardly lives does not make the agent ask more than once a minute', () => {
  const short = { notBefore: new Date(0), notAfter: new Date(1000) };
  expect(untilRenewal(short, renewal)).toBe(minute);
});

test('refusals are asked about less and less, in the end about once a minute', () => {
  const { minMs, maxMs } = renewal.refused;
  expect(minMs).toBeGreaterThanOrEqual(1_000);
  // A wait is shortened by a half at most, by a quarter in the mean.
  expect(maxMs * 0.75).toBeGreaterThanOrEqual(minute);
});

test('until the last certificate expires its end is told as a warning, then as an error', async () => {
  let now = issuedAt + 40 * minute;
  const answer = (count: number): Enrolled => {
    if (count === 1) return enrolled;
    if (count === 3) now = issuedAt + 61 * minute;
    throw new Fault('cluster_unavailable', 'the API server does not answer');
  };
  const logged = await kept(answer, 3, () => now);
  const [warning, error] = logged.filter(({ msg }) => msg === 'no certificate was issued; trying again');
  expect(warning).toMatchObject({
    level: 40,
    causes: ['Fault: the API server does not answer'],
    meanwhile: 'the last certificate is good until 2030-01-01T01:00:00.000Z',
  });
  expect(error).toMatchObject({
    level: 50,
    meanwhile: expect.stringMatching(/expired at .*: connections ended with it/),
  });
});

// A wait that goes by the wrong clock alone outlasts the time limit of the test.
test.each([
  { sentence: 'ran on while its timers stood still', leapMs: 120 * minute, dueMs: 1.5 * minute },
  { sentence: 'was put back by a year', leapMs: -365 * 24 * 60 * minute, dueMs: 100 },
])('a node whose clock $sentence asks for the next certificate when it is due', async ({ leapMs, dueMs }) => {
  const ending = new AbortController();
  let aheadMs = 0;
  let asked = 0;
  const enrol = async (): Promise<Enrolled> => {
    asked += 1;
    if (asked === 2) ending.abort();
    return enrolled;
  };
  const none = { minMs: 1, maxMs: 1 };
  const times = { share: dueMs / (65 * minute), jitter: 0, floorMs: 0, absent: none, refused: none };
  // Once the wait has begun.
  const take = (): void => {
    setImmediate(() => {
      aheadMs = leapMs;
    });
  };
  const log = pino({ level: 'silent' });
  const now = (): number => issuedAt + aheadMs;
  await keepIdentity({ tokenFile, enrol, renew: enrol, take, renewal: times, log, now }, ending.signal);
  expect(asked).toBe(2);
});

test('a certificate that cannot be taken into use is a failure like any other', async () => {
  const logged = await kept(
    (count) => {
      if (count === 1) throw new Fault('config_invalid', 'TLS cannot use the certificate');
      return enrolled;
    },
    2,
    () => issuedAt,
  );
  expect(logged.map(({ msg }) => msg)).toEqual(['no certificate was issued; trying again', 'certificate issued']);
});
