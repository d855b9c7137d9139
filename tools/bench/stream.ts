import { join } from 'node:path';
import { windowSize } from '../../agent/capture/window.ts';
import { type Link, measureLink, openLink } from './link/link.ts';
import { OurCollector, startOurAgent } from './our-way.ts';
import type { PeerClientOptions, PeerServerOptions } from './peer/service.ts';
import { type RecordedImage, recordImage, scratchDir } from './recorded-image.ts';
import { median, type Row, spread } from './row.ts';
import { type Usage, WorkerProcess } from './worker-process.ts';

/** One timed upload. */
interface Run {
  readonly megabytesPerSecond: number;
  /** CPU seconds per GB, of the sending and the receiving process. */
  readonly senderCpu: number;
  readonly receiverCpu: number;
  readonly senderRss: number;
  readonly receiverRss: number;
}

/** An upload that can be run again and again. */
interface Way {
  run(): Promise<Run>;
  stop(): Promise<void>;
}

const syncEveryBytes = 8 << 20;
const delayMs = 1;

/** Rates of an upload from a source of memory speed, ours against plain grpc-js, on the loopback and over a link of 2 ms round trip. */
export async function benchStream(options: { mebibytes: number; runs: number }): Promise<Row[]> {
  const image = recordImage(options.mebibytes);
  const scratch = scratchDir();
  const rows: Row[] = [];
  try {
    const collector = await OurCollector.start(scratch.path);
    const peer = await startPeerServer(collector, scratch.path);
    try {
      const loopback = await compare(collector, peer, image, options.runs, 0);
      rows.push(row('loopback', loopback, `${options.mebibytes} MiB`));
      const plain = await measureLink(delayMs);
      const delayed = await compare(collector, peer, image, options.runs, delayMs);
      const link = `link: ${plain.roundTripMs.toFixed(2)} ms round trip, plain TCP ${plain.megabytesPerSecond.toFixed(0)} MB/s`;
      rows.push(row('delay-2ms', delayed, link));
      const [ours, undelayed] = [rate(delayed.ours), rate(loopback.ours)];
      const note = 'peer: our own rate on the loopback without the link';
      rows.push({ ...base, case: 'delay-2ms-vs-loopback', ours, peer: undelayed, ratio: ours / undelayed, note });
    } finally {
      await Promise.all([collector.stop(), peer.process.stop()]);
    }
  } finally {
    scratch.remove();
    image.remove();
  }
  return rows;
}

const base = { bench: 'stream', unit: 'MB/s' };
const rate = (runs: readonly Run[]): number => median(runs.map((run) => run.megabytesPerSecond));

interface Comparison {
  readonly ours: readonly Run[];
  readonly peer: readonly Run[];
}

function row(name: string, { ours, peer }: Comparison, note: string): Row {
  const [a, b] = [rate(ours), rate(peer)];
  const tell = (runs: readonly Run[]): string => {
    const of = (key: keyof Run): number => median(runs.map((run) => run[key]));
    const rss = `${(of('senderRss') / 1e6).toFixed(0)} + ${(of('receiverRss') / 1e6).toFixed(0)} MB`;
    return `${spread(runs.map((run) => run.megabytesPerSecond))} MB/s, CPU s/GB ${of('senderCpu').toFixed(2)} + ${of('receiverCpu').toFixed(2)}, peak RSS ${rss}`;
  };
  return {
    ...base,
    case: name,
    ours: a,
    peer: b,
    ratio: a / b,
    note: `${note}; ours ${tell(ours)}; peer ${tell(peer)}`,
  };
}

async function compare(
  collector: OurCollector,
  peer: PeerServer,
  image: RecordedImage,
  count: number,
  linkDelayMs: number,
): Promise<Comparison> {
  const links: Link[] = [];
  const ways: Way[] = [];
  try {
    const reach = async (port: number): Promise<number> => {
      if (linkDelayMs === 0) return port;
      const link = await openLink(port, linkDelayMs);
      links.push(link);
      return link.port;
    };
    const ours = await ourWay(collector, `bench-${linkDelayMs}`, image, await reach(collector.port));
    ways.push(ours);
    const theirs = peerWay(collector, peer, image, await reach(peer.port), linkDelayMs);
    ways.push(theirs);
    await ours.run();
    await theirs.run();
    const runs = { ours: [] as Run[], peer: [] as Run[] };
    for (let index = 0; index < count; index += 1) {
      runs.ours.push(await ours.run());
      runs.peer.push(await theirs.run());
    }
    return runs;
  } finally {
    await Promise.all([...ways.map((way) => way.stop()), ...links.map((link) => link.process.stop())]);
  }
}

async function ourWay(collector: OurCollector, name: string, image: RecordedImage, port: number): Promise<Way> {
  const agent = await startOurAgent(collector, name, image, port);
  return {
    run: async () => {
      const before = [agent.usage, collector.usage] as const;
      const { captureId, beganMs } = await collector.order(name);
      const { durableBytes } = await agent.line(({ msg }) => msg === 'evidence sealed');
      const seconds = (performance.now() - beganMs) / 1000;
      if (durableBytes !== image.bytes) throw new Error(`${String(durableBytes)} of ${image.bytes} bytes are durable`);
      collector.forgetEvidence(captureId);
      return measured(image, seconds, before, [agent.usage, collector.usage]);
    },
    stop: () => agent.stop(),
  };
}

interface PeerServer {
  readonly port: number;
  readonly process: WorkerProcess;
}

async function startPeerServer(collector: OurCollector, dir: string): Promise<PeerServer> {
  const options: PeerServerOptions = {
    tlsDir: collector.process.options.tlsDir,
    filePath: join(dir, 'peer.lime'),
    syncEveryBytes,
  };
  const process = new WorkerProcess('peer/server-worker.ts', options);
  const { port } = await process.line((line) => 'port' in line);
  return { port: Number(port), process };
}

function peerWay(collector: OurCollector, peer: PeerServer, image: RecordedImage, port: number, id: number): Way {
  const options: PeerClientOptions = {
    server: `127.0.0.1:${port}`,
    tlsDir: collector.authority.agent(`peer-${id}`, `uid-peer-${id}`).dir,
    imagePath: image.path,
    fifoPath: join(collector.dir, `peer-${id}.fifo`),
    chunkBytes: windowSize.chunkBytes,
  };
  const client = new WorkerProcess('peer/client-worker.ts', options);
  return {
    run: async () => {
      const before = [client.usage, peer.process.usage] as const;
      client.tell({});
      const { seconds } = await client.line((line) => line.bytes === image.bytes);
      return measured(image, Number(seconds), before, [client.usage, peer.process.usage]);
    },
    stop: () => client.stop(),
  };
}

function measured(
  { bytes }: RecordedImage,
  seconds: number,
  before: readonly [Usage, Usage],
  after: readonly [Usage, Usage],
): Run {
  const cpu = (end: 0 | 1): number => ((after[end].cpuSeconds - before[end].cpuSeconds) / bytes) * 1e9;
  return {
    megabytesPerSecond: bytes / 1e6 / seconds,
    senderCpu: cpu(0),
    receiverCpu: cpu(1),
    senderRss: after[0].peakRssBytes,
    receiverRss: after[1].peakRssBytes,
  };
}
