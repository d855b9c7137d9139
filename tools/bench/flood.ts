import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAuthority } from '../certificates.ts';
import { say } from '../setup/progress.ts';
import { startCollectorSide } from './fleet/side.ts';
import type { AttackerOptions } from './flood/attacker-worker.ts';
import { attacks } from './flood/attacks.ts';
import type { ClientOptions } from './flood/client-worker.ts';
import { scratchDir } from './recorded-image.ts';
import type { Row } from './row.ts';
import { usageOf, WorkerProcess } from './worker-process.ts';

const mebibyte = 1 << 20;

/** A server under attack. */
interface Victim {
  readonly pid: number;
  readonly port: number;
  readonly apiPort: number;
  readonly caPath: string;
  stop(): Promise<void>;
}

/** Memory in MiB, times in milliseconds. */
interface Figures {
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  readonly calmP99: number;
  readonly floodP99: number;
  readonly failed: number;
  readonly ends: string;
}

/** Each attack by one process, for some seconds, on a new collector and on a plain grpc-js server, while somebody known goes on calling. */
export async function benchFlood({ seconds, names }: { seconds: number; names?: readonly string[] }): Promise<Row[]> {
  const scratch = scratchDir();
  const authority = makeAuthority(join(scratch.path, 'tls'));
  const [good, hostile] = [authority.operator('good'), authority.operator('hostile')];
  const rows: Row[] = [];
  try {
    for (const attack of names ?? Object.keys(attacks)) {
      const measure = async (victim: Victim): Promise<Figures> => {
        try {
          return await suffer(victim, attack, seconds, good.dir, hostile.dir);
        } finally {
          await victim.stop();
        }
      };
      const dir = join(scratch.path, attack);
      mkdirSync(join(dir, 'data'), { recursive: true });
      const side = await startCollectorSide(dir, authority, good);
      const caPath = join(authority.server().dir, 'ca.crt');
      const apiPort = Number(side.apiAddress.split(':')[1]);
      const ours = await measure({ ...side, apiPort, caPath });
      const peer = await measure(await startNull(authority.server().dir, caPath));
      rows.push(...rowsOf(attack, ours, peer));
      say(`bench flood: ${attack}: ours ${tell(ours)}; plain grpc-js ${tell(peer)}`);
    }
  } finally {
    scratch.remove();
  }
  return rows;
}

async function startNull(tlsDir: string, caPath: string): Promise<Victim> {
  const worker = new WorkerProcess('flood/null-worker.ts', { tlsDir });
  const { port, apiPort } = await worker.line((line) => 'apiPort' in line);
  return { pid: worker.pid, port: Number(port), apiPort: Number(apiPort), caPath, stop: () => worker.stop() };
}

async function suffer(
  victim: Victim,
  attack: string,
  seconds: number,
  good: string,
  hostile: string,
): Promise<Figures> {
  const { pid, port, apiPort, caPath } = victim;
  const calls = async (): Promise<{ p99: number; failed: number }> => {
    const options: ClientOptions = { port, caPath, tlsDir: good, seconds };
    const client = new WorkerProcess('flood/client-worker.ts', options);
    const { tookMs, failed } = await client.line((line) => 'tookMs' in line);
    return { p99: quantile(tookMs as number[], 0.99), failed: Number(failed) };
  };
  const calm = await calls();
  const before = usageOf(pid).rssBytes;
  const options: AttackerOptions = { attack, port, apiPort, caPath, tlsDir: hostile, seconds: seconds + 2 };
  const attacker = new WorkerProcess('flood/attacker-worker.ts', options);
  const done = { is: false };
  let peak = before;
  const watching = (async () => {
    for (; !done.is; await sleep(50)) peak = Math.max(peak, usageOf(pid).rssBytes);
  })();
  const flood = await calls();
  const { ends } = await attacker.line((line) => 'ends' in line);
  done.is = true;
  await watching;
  await sleep(2_000);
  return {
    ...{ before: before / mebibyte, peak: peak / mebibyte, after: usageOf(pid).rssBytes / mebibyte },
    ...{ calmP99: calm.p99, floodP99: flood.p99, failed: flood.failed, ends: JSON.stringify(ends) },
  };
}

function rowsOf(attack: string, ours: Figures, peer: Figures): Row[] {
  const row = (name: string, unit: string, pick: (queries: Figures) => number): Row => ({
    ...{ bench: 'flood', case: `${attack}-${name}`, ours: pick(ours), peer: pick(peer), unit },
    ratio: pick(peer) / pick(ours),
    note: `ours ${tell(ours)}; peer, plain grpc-js: ${tell(peer)}`,
  });
  return [row('p99', 'x', ({ calmP99, floodP99 }) => floodP99 / calmP99), row('peak', 'MiB', ({ peak }) => peak)];
}

const tell = ({ before, peak, after, calmP99, floodP99, failed, ends }: Figures): string =>
  `${before.toFixed(0)}/${peak.toFixed(0)}/${after.toFixed(0)} MiB before/peak/after, p99 ${calmP99.toFixed(1)} -> ${floodP99.toFixed(1)} ms, ${failed} good calls failed, the attacker's ended ${ends}`;

/** The smallest value that at least this share of them does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}
