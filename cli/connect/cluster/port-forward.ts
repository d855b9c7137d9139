import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Fault } from '@kcorder/proto/fault.ts';

/** A port of this machine that leads to a port in a pod. */
export interface LocalPort extends Disposable {
  readonly port: number;
  /** Why the last connection could not be made, or ended badly; undefined when it went well. */
  readonly problem: Fault | undefined;
}

/**
 * Listens on a free port of 127.0.0.1 and opens one tunnel for each connection. The first tunnel is opened at once: what stands in its way is
 * thrown here.
 */
export async function listenLocally(openTunnel: () => Promise<Duplex>): Promise<LocalPort> {
  const open = new Set<Socket | Duplex>();
  let problem: Fault | undefined;
  const remember = (error: unknown): void => {
    if (error instanceof Fault) problem = error;
  };
  const begin = async (): Promise<Duplex> => {
    const tunnel = await openTunnel();
    open.add(tunnel);
    tunnel.once('data', () => {
      problem = undefined;
    });
    tunnel.pause();
    return tunnel.once('error', remember).once('close', () => open.delete(tunnel));
  };
  let first: Duplex | undefined = await begin();
  const join = async (socket: Socket): Promise<void> => {
    open.add(socket);
    const early = first;
    first = undefined;
    try {
      const tunnel = early === undefined || early.destroyed ? await begin() : early;
      await pipeline(socket, tunnel, socket);
    } catch (error) {
      remember(error);
      socket.destroy();
    } finally {
      open.delete(socket);
    }
  };
  // Half-open: the pipeline ends either direction in its own time.
  const server = createServer({ allowHalfOpen: true }, (socket) => void join(socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Fault('internal', 'a local port has no number');
  return {
    port: address.port,
    get problem() {
      return problem;
    },
    [Symbol.dispose]: () => {
      server.close();
      for (const stream of open) stream.destroy();
    },
  };
}
