import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, errorAnswer } from './gcs-answers.ts';
import { UploadSessions } from './upload-sessions.ts';

/** What can happen to one request. */
export const faults = [
  'HTTP 408',
  'HTTP 429',
  'HTTP 500',
  'HTTP 503',
  /** Done, and then reported as failed. */
  'HTTP 503 after it was done',
  'reset before the request',
  'reset after it was done',
  'answer cut short',
  'answer garbled',
  /** A chunk of which half arrives. */
  'half of the request',
  'session gone',
  'wrong crc32c',
  'slow',
] as const;
export type GcsFault = (typeof faults)[number];

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly contentRange: string;
}

/** Stands before a fake-gcs-server, lets chosen requests fail, and makes up for what the server gets wrong about upload sessions. */
export class FaultProxy {
  readonly endpoint: string;
  /** Everything that came, faults included. */
  readonly seen: SeenRequest[] = [];
  /** Decides about each request, by its number from 0 on since the last `begin`. */
  chooseFault: (request: SeenRequest, index: number) => GcsFault | undefined = () => undefined;
  /** Answers in place of the server where it gives something. */
  answerFor: (request: SeenRequest) => Answer | undefined = () => undefined;
  /** Fields that the JSON of an answer gets besides its own. */
  amend: (request: SeenRequest) => object = () => ({});
  /** Something to do before a request is answered. */
  before: (request: SeenRequest) => Promise<void> = () => Promise.resolve();
  /** The path and query with which a request goes on. */
  rewrite: (request: SeenRequest) => string = ({ url }) => url;
  readonly #server: Server;
  readonly #sessions: UploadSessions;
  #index = 0;

  private constructor(server: Server, port: number, target: string) {
    this.#server = server;
    this.endpoint = `http://127.0.0.1:${port}`;
    this.#sessions = new UploadSessions((incoming, body) => forward(target, incoming, body));
  }

  static async start(target: string): Promise<FaultProxy> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    const proxy = new FaultProxy(server, address.port, target);
    server.on('request', (incoming, outgoing) => {
      proxy.#serve(incoming, outgoing).catch(() => outgoing.destroy());
    });
    return proxy;
  }

  /** The secret part of every upload session so far. */
  get secrets(): readonly string[] {
    return this.#sessions.ids;
  }

  /** Forgets faults, answers and counts. */
  begin(chooseFault: FaultProxy['chooseFault'] = () => undefined): void {
    this.seen.length = 0;
    this.#index = 0;
    this.chooseFault = chooseFault;
    this.answerFor = () => undefined;
    this.amend = () => ({});
    this.before = () => Promise.resolve();
    this.rewrite = ({ url }) => url;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const seen = { method, url, contentRange: headers['content-range'] ?? '' };
    const fault = this.chooseFault(seen, this.#index++);
    this.seen.push(seen);
    if (fault === 'reset before the request') {
      incoming.socket.resetAndDestroy();
      return;
    }
    const body = await bodyOf(incoming);
    await this.before(seen);
    incoming.url = this.rewrite(seen);
    const ready = this.answerFor(seen);
    const direct = ready ?? directAnswer(fault, seen);
    if (direct !== undefined) {
      if (fault === 'session gone') this.#sessions.forget(url);
      send(outgoing, direct);
      return;
    }
    if (fault === 'slow') await sleep(300);
    const answer = amended(
      await this.#sessions.answer(incoming, body, fault === 'half of the request'),
      this.amend(seen),
    );
    switch (fault) {
      case 'HTTP 503 after it was done':
        send(outgoing, errorAnswer(503, 'Service Unavailable'));
        return;
      case 'reset after it was done':
      case 'half of the request':
        incoming.socket.resetAndDestroy();
        return;
      case 'answer cut short':
        // A body of a known length, of which half comes.
        outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length + 10 });
        outgoing.write(answer.body.subarray(0, answer.body.length / 2), () => incoming.socket.destroy());
        return;
      case 'answer garbled':
        send(outgoing, { ...answer, headers: {}, body: Buffer.from('<html>') });
        return;
      case 'wrong crc32c':
        send(outgoing, {
          ...answer,
          body: Buffer.from(answer.body.toString().replace(/"crc32c":\s*"[^"]*"/, '"crc32c":"AAAAAA=="')),
        });
        return;
      default:
        send(outgoing, answer);
    }
  }
}

function amended(answer: Answer, fields: object): Answer {
  if (Object.keys(fields).length === 0 || !answer.headers['content-type']?.includes('json')) return answer;
  return { ...answer, body: Buffer.from(JSON.stringify({ ...JSON.parse(answer.body.toString()), ...fields })) };
}

function directAnswer(fault: GcsFault | undefined, { url }: SeenRequest): Answer | undefined {
  const status = /^HTTP (\d+)$/.exec(fault ?? '')?.[1];
  // As the real one: the address of the session comes back in the text.
  if (status !== undefined) return errorAnswer(Number(status), `Try again later: ${url}`);
  return fault === 'session gone' ? errorAnswer(410, `The upload session ${url} is gone`) : undefined;
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function send(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  outgoing.writeHead(status, { ...headers, 'content-length': body.length });
  outgoing.end(body);
}

async function forward(
  target: string,
  incoming: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
): Promise<Answer> {
  const { method, url, headers } = incoming;
  const outgoing = request(`${target}${url}`, { method, headers: { ...headers, 'content-length': body.length } });
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const kept = Object.entries(answer.headers).filter(
    ([key]) => !/^(transfer-encoding|content-length|connection|keep-alive)$/.test(key),
  );
  return {
    status: answer.statusCode ?? 0,
    headers: Object.fromEntries(kept.map(([key, value]) => [key, String(value)])),
    body: await bodyOf(answer),
  };
}
