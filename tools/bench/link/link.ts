import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { median } from '../row.ts';
import { WorkerProcess } from '../worker-process.ts';
import type { LinkOptions } from './link-worker.ts';

/** A link with a delay, in a process of its own. */
export interface Link {
  readonly port: number;
  readonly process: WorkerProcess;
}

/** Opens a link to a port of this machine that delays every byte by `delayMs` in each direction and limits nothing else. */
export async function openLink(targetPort: number, delayMs: number): Promise<Link> {
  const options: LinkOptions = { targetPort, delayMs };
  const process = new WorkerProcess('link/link-worker.ts', options);
  const { port } = await process.line((line) => 'port' in line);
  return { port: Number(port), process };
}

/** What plain TCP makes of such a link: the round trip in milliseconds, and the rate in MB/s. It shows that the link is not the limit. */
export async function measureLink(delayMs: number): Promise<{ roundTripMs: number; megabytesPerSecond: number }> {
  const totalBytes = 1 << 30;
  const piece = Buffer.alloc(256 << 10);
  const echo = createServer({ noDelay: true }, (socket: Socket) => {
    let received = 0;
    socket.on('data', (data) => {
      received += data.length;
      // A byte alone comes back; of a flood only its end is told.
      if (received < 1000 || received >= totalBytes) socket.write('.');
    });
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  const link = await openLink(typeof address === 'object' ? (address?.port ?? 0) : 0, delayMs);
  try {
    const ping = connect({ port: link.port, host: '127.0.0.1', noDelay: true });
    const roundTrips: number[] = [];
    for (let count = 0; count < 200; count += 1) {
      const begin = performance.now();
      ping.write('.');
      await once(ping, 'data');
      roundTrips.push(performance.now() - begin);
    }
    ping.destroy();
    const flood = connect({ port: link.port, host: '127.0.0.1', noDelay: true });
    const begin = performance.now();
    const told = once(flood, 'data');
    for (let sent = 0; sent < totalBytes; sent += piece.length) {
      if (!flood.write(piece)) await once(flood, 'drain');
    }
    await told;
    const seconds = (performance.now() - begin) / 1000;
    flood.destroy();
    return { roundTripMs: median(roundTrips), megabytesPerSecond: totalBytes / 1e6 / seconds };
  } finally {
    await link.process.stop();
    echo.close();
  }
}
