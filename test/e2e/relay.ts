import { createServer } from 'node:http';
import { freePort } from '../../collector/testing/free-port.ts';

/** Something to scrape on this machine's loopback. */
export interface Relay extends AsyncDisposable {
  /** host:port. */
  readonly address: string;
}

/** Answers every scrape with what `read` gives: the cluster's network cannot be reached from here. */
export async function startRelay(read: () => Promise<string>): Promise<Relay> {
  const server = createServer((_request, response) => {
    read().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(502).end(),
    );
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
