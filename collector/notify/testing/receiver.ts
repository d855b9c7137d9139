import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../testing/files.ts';

/** One request as it came. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** id, event, … of our own format. */
  readonly json: Record<string, unknown>;
  readonly atMs: number;
}

type Answer = (response: ServerResponse, nth: number) => void | Promise<void>;

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(code, headers).end();
  };

/** The first requests are answered one by one; the last answer holds for the rest. */
export const inTurn =
  (...answers: Answer[]): Answer =>
  (response, nth) =>
    answers[Math.min(nth, answers.length - 1)]?.(response, nth);

export const switching: Answer = (response) =>
  void response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');

export const never: Answer = () => undefined;

/** A receiver of notifications on the loopback. */
export class Receiver {
  readonly received: Received[] = [];
  readonly url: string;
  /** Most requests that were open at the same time. */
  mostAtOnce = 0;
  readonly #close: () => void;

  private constructor(url: string, received: Received[], close: () => void) {
    this.url = url;
    this.received = received;
    this.#close = close;
  }

  static async open(answer: Answer, tls?: { certificate: Buffer; key: Buffer }): Promise<Receiver> {
    const received: Received[] = [];
    let open = 0;
    let receiver: Receiver | undefined;
    const listener: RequestListener = async (request, response) => {
      open += 1;
      response.once('close', () => {
        open -= 1;
      });
      if (receiver) receiver.mostAtOnce = Math.max(receiver.mostAtOnce, open);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString('utf8');
      const json = JSON.parse(body) as Record<string, unknown>;
      received.push({ headers: request.headers, body, json, atMs: Date.now() });
      await answer(response, received.length - 1);
    };
    const server =
      tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.certificate, key: tls.key }, listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}/hook`;
    receiver = new Receiver(url, received, () => {
      server.closeAllConnections();
      server.close();
    });
    return receiver;
  }

  async count(least: number): Promise<Received[]> {
    return await until(() => this.received.length >= least && this.received);
  }

  /** Lets what could still come, come. */
  async settle(): Promise<Received[]> {
    await sleep(150);
    return this.received;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
