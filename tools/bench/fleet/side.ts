import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { freePort } from '../../../collector/testing/free-port.ts';
import type { Authority } from '../../certificates.ts';
import { CollectorProcess } from '../../stage/collector-process.ts';
import { WorkerProcess } from '../worker-process.ts';
import type { PeerOptions } from './peer-worker.ts';
import type { FleetNode } from './protocol.ts';

/** A program that a fleet attaches to: the collector or its peer. */
export interface Side {
  /** host:port. */
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly operator: Calls<typeof OperatorService>;
  stop(): Promise<void>;
}

/** A collector with an authority of its own. */
export interface CollectorSide extends Side {
  readonly apiAddress: string;
  /** Of the collector's own figures. */
  readonly metricsUrl: string;
  readonly schedules: Calls<typeof ScheduleService>;
  /** PEM of whoever may vouch for the collector and its agents. */
  readonly caPath: string;
  /** A join token for each of so many new nodes. */
  nodes(count: number): Promise<FleetNode[]>;
}

/** A list of 2,000 nodes comes in one message. */
const receiveLimitBytes = 256 << 20;

/** Starts a real collector on a real disk. */
export async function startCollectorSide(
  dir: string,
  authority: Authority,
  person: TlsIdentity,
  env: Readonly<Record<string, string>> = {},
): Promise<CollectorSide> {
  const apiAddress = `127.0.0.1:${await freePort()}`;
  const dataDir = join(dir, 'data');
  const collector = new CollectorProcess({
    port: await freePort(),
    metricsPort: await freePort(),
    dataDir,
    tlsDir: authority.server().dir,
    symbolDirs: [],
    python: '/usr/bin/python3',
    logPath: join(dir, 'collector.log'),
    env: { KCORDER_AUTHORITY: 'directory', KCORDER_API_LISTEN: apiAddress, KCORDER_COS_URL: 'off', ...env },
  });
  await collector.start();
  const channel = openChannel(collector.address, person, { receiveLimitBytes });
  const enrolment = connect(EnrolmentService, channel);
  return {
    address: collector.address,
    port: collector.options.port,
    pid: collector.pid,
    operator: connect(OperatorService, channel),
    schedules: connect(ScheduleService, channel),
    metricsUrl: `http://127.0.0.1:${collector.options.metricsPort}/metrics`,
    apiAddress,
    caPath: join(dataDir, 'authority', 'ca.crt'),
    nodes: async (count) => {
      const nodes: FleetNode[] = [];
      for (let number = 0; number < count; number += 1) {
        const name = `node-${String(number).padStart(4, '0')}.fleet.example.internal`;
        const { token } = await enrolment.createJoinToken({ nodeName: name, nodeUid: randomUUID() });
        nodes.push({ name, number, joinToken: token });
      }
      return nodes;
    },
    stop: async () => {
      channel.close();
      await collector.stop();
    },
  };
}

/** Starts the peer, which takes the agents that have enrolled with a collector. */
export async function startPeerSide(options: PeerOptions, person: TlsIdentity): Promise<Side> {
  const worker = new WorkerProcess('fleet/peer-worker.ts', options);
  const port = Number((await worker.line((line) => 'port' in line)).port);
  const address = `127.0.0.1:${port}`;
  const channel = openChannel(address, person, { receiveLimitBytes });
  return {
    address,
    port,
    pid: worker.pid,
    operator: connect(OperatorService, channel),
    stop: async () => {
      channel.close();
      await worker.stop();
    },
  };
}
