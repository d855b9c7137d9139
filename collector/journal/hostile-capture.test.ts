import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { ordinaryHello } from '../testing/hand-agent.ts';
import { Parties, Rig } from '../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

/** Six bytes each in the journal. */
const filled = (bytes: number): string => '\u0001'.repeat(bytes);
const ramRanges = Array.from({ length: 1_024 }, (_, index) => {
  const start = 2n ** 51n + BigInt(index) * 4096n;
  return { start, end: start + 2048n };
});
const kernel = {
  architecture: ordinaryHello.kernel.architecture ?? '',
  ...{ release: filled(4096), banner: filled(4096), buildId: filled(4096), vmcoreinfo: filled(65_536) },
  ...{ machineId: filled(128), typesProblem: filled(2048), ramRanges },
};
const containersOf = (count: number) =>
  Array.from({ length: count }, () => ({ podNamespace: filled(60), podName: filled(60), containerName: filled(60) }));

test('a node that tells as much of itself as it may, in control characters, has 2.5 MB written for a capture', async () => {
  await using rig = await Rig.start(parties);
  const agent = rig.agent();
  await agent.attach({ kernel });
  await rig.operator().createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'k' });
  const captureId = await agent.ordered();
  const upload = async (count: number): Promise<string> => {
    const stream = connect(IngestService, rig.channel(parties.node('n1'))).upload();
    const end = (async () => {
      for await (const { message } of stream.responses) if (message.case !== 'resume') return String(message.case);
      return 'ended';
    })().catch((fault: Error) => fault.message);
    const start = {
      acquirer: { name: filled(64), version: filled(128), sha256: filled(128) },
      ...{ argv: Array(16).fill(filled(1024)), bootId: filled(128), containers: containersOf(count) },
    };
    await stream.send({ message: { case: 'open', value: { captureId, acquisitionId: 'a', attempt: 1, start } } });
    await stream.send({ message: { case: 'finish', value: { exitCode: 1, stderrTail: filled(16_384) } } });
    return await end;
  };
  expect(await upload(2_000)).toMatch(/containers take \d+ bytes as JSON, more than 1572864/);
  await upload(1_300);
  await rig.done(captureId);
  await rig.stopCollector();
  using database = new DatabaseSync(join(rig.dataDir, 'kcorder.db'));
  const row = database
    .prepare(
      `SELECT (SELECT sum(octet_length(request) + octet_length(state)) FROM captures) AS capture,
         (SELECT sum(octet_length(detail)) FROM audit) AS audit, (SELECT sum(octet_length(containers)) FROM named_containers) AS containers`,
    )
    .get();
  const bytes = { capture: Number(row?.capture), audit: Number(row?.audit), containers: Number(row?.containers) };
  expect(bytes.containers).toBeGreaterThan(1_000_000);
  expect(bytes.capture).toBeGreaterThan(500_000);
  expect(bytes.capture + bytes.audit + bytes.containers).toBeLessThan(2_500_000);
});
