import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { runAgent, tuning } from '../../agent/agent.ts';
import { makeFakeAvml } from '../../agent/testing/fake-avml.ts';
import { makeSystemTree } from '../../agent/testing/system-tree.ts';
import { until } from '../../collector/testing/files.ts';
import { limeImage } from '../../collector/testing/lime-image.ts';
import { Parties, Rig } from '../../collector/testing/rig.ts';

const dir = mkdtempSync(join(tmpdir(), 'kcorder-moving-'));
const parties = new Parties();
afterAll(() => {
  parties[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

test('a real agent whose certificate is renewed again and again in the middle of an upload: never offline, and nothing was interrupted', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  const operator = rig.operator();
  const tokens = connect(EnrolmentService, rig.channel(parties.operator));
  const { token } = await tokens.createJoinToken({ nodeName: 'n1', nodeUid: 'uid-n1' });
  const [tokenFile, caFile] = [join(dir, 'token'), join(dir, 'ca.crt')];
  writeFileSync(tokenFile, token);
  writeFileSync(caFile, parties.authority.ca);
  const go = join(dir, 'go');
  // The second half of the image comes when the test says so.
  const image = limeImage(3, [3_000_000, 3_000_000]);
  const slow = `exec 3>"$FIFO"; head -c 3000000 "$IMAGE" >&3; while [ ! -e '${go}' ]; do sleep 0.05; done; tail -c +3000001 "$IMAGE" >&3`;
  const avml = makeFakeAvml(dir, image.length, slow);
  writeFileSync(join(dir, 'image'), image);
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const ending = new AbortController();
  const running = runAgent(
    {
      collector: `localhost:${rig.port}`,
      identity: { enrol: `localhost:${rig.apiPort}`, tokenFile, caFile },
      serverName: undefined,
      avmlPath: avml.path,
      avmlSha256: avml.sha256,
      runDir: join(dir, 'run'),
      hostRoot: '/',
      logLevel: 'trace',
      metricsListen: '',
    },
    makeSystemTree(join(dir, 'system')),
    log,
    ending.signal,
    // A new certificate after each second: a collector gives three of them at once, and then one a minute.
    {
      ...tuning,
      backoff: { minMs: 10, maxMs: 100 },
      renewal: { ...tuning.renewal, share: 1_000 / 3_900_000, jitter: 0, floorMs: 0 },
    },
  );
  const moves = (msg: string) => logged.filter((line) => line.msg === msg).length;
  await until(() => moves('attached') > 0);
  const online: boolean[] = [];
  const { capture } = await operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'key' });
  await until(async () => {
    online.push((await operator.listNodes({})).nodes[0]?.online ?? false);
    return moves('upload moves to a newer connection') >= 2 && moves('moving to a newer connection') >= 2;
  });
  writeFileSync(go, '');
  const done = await rig.done(capture?.id ?? '');
  expect(done).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, interruptions: [] });
  expect(rig.evidence(done.id, 'image.lime').equals(image)).toBe(true);
  expect(new Set(online)).toEqual(new Set([true]));
  expect(moves('not attached; trying again') + moves('upload broke off; trying again')).toBe(0);
  ending.abort();
  await running;
});
