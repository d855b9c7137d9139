import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { readLeaf } from '../leaf.ts';

/** What the good client is told. */
export interface ClientOptions {
  readonly port: number;
  readonly caPath: string;
  readonly tlsDir: string;
  readonly seconds: number;
}

// Somebody known, who calls a hundred times per second and says how long each call took, in milliseconds, and how many failed.
const { port, caPath, tlsDir, seconds } = JSON.parse(process.argv[2] ?? '') as ClientOptions;
const identity = { ...readLeaf(tlsDir), ca: readFileSync(caPath) };
const channel = openChannel(`127.0.0.1:${port}`, identity, { serverName: 'localhost' });
const operator = connect(OperatorService, channel);
await operator.getVersion({});
const tookMs: number[] = [];
let failed = 0;
const untilMs = performance.now() + seconds * 1_000;
const calls: Promise<void>[] = [];
while (performance.now() < untilMs) {
  const beganMs = performance.now();
  calls.push(
    operator.getVersion({}).then(
      () => void tookMs.push(performance.now() - beganMs),
      () => {
        failed += 1;
      },
    ),
  );
  await sleep(10);
}
await Promise.all(calls);
process.stdout.write(`${JSON.stringify({ tookMs, failed })}\n`);
process.exit(0);
