import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { type Cluster, clusterOf } from '../client.ts';

// Injects faults only: what a real API server says is tested on one, in test/e2e.

interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    resourceVersion?: string;
  };
}

type Kind = 'nodes' | 'pods';

/** An answer in the place of the ordinary one. */
export type Fault = { readonly status: number; readonly message?: string } | 'reset' | 'silence';

/** An API server with nodes and pods that can be watched, and with whatever else a test answers. */
export class FakeApiServer implements AsyncDisposable {
  readonly #server = createServer((request, response) => this.#serve(request, response));
  readonly #objects = { nodes: new Map<string, Stored>(), pods: new Map<string, Stored>() };
  readonly #watches = new Set<{ kind: Kind; response: ServerResponse }>();
  #version = 1;
  /** Asked first for every request; undefined: the ordinary answer. */
  answer: (method: string, path: string, body: string) => unknown = () => undefined;
  /** In the place of every answer. */
  fault: Fault | undefined;
  /** Watches hear nothing while it is set, nor that they have ended; whatever else is asked is answered. */
  frozen = false;
  /** While it is set, every watch is answered with this text and ends. */
  watchAnswer: string | undefined;
  /** Lists of these are not answered. */
  readonly #held = new Map<Kind, (() => void)[]>();
  /** Requests that are not answered and whose connection is open. */
  unanswered = 0;
  /** Paths that were asked for, with their queries. */
  readonly asked: string[] = [];

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get cluster(): Cluster {
    const { port } = this.#server.address() as AddressInfo;
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
      users: [{ name: 'u', token: 'collector' }],
      contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
      currentContext: 'x',
    });
    return clusterOf(config);
  }

  /** Watches that are open. */
  get watching(): number {
    return this.#watches.size;
  }

  put(kind: Kind, object: Stored): void {
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const type = this.#objects[kind].has(key) ? 'MODIFIED' : 'ADDED';
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    this.#objects[kind].set(key, object);
    this.#tell(kind, type, object);
  }

  remove(kind: Kind, name: string, namespace = ''): void {
    const object = this.#objects[kind].get(`${namespace}/${name}`);
    this.#objects[kind].delete(`${namespace}/${name}`);
    this.#version += 1;
    if (object !== undefined) this.#tell(kind, 'DELETED', object);
  }

  /** Lists of a kind wait for their answer from now on, until they are released. */
  hold(kind: Kind): void {
    this.#held.set(kind, []);
  }

  release(kind: Kind): void {
    const waiting = this.#held.get(kind) ?? [];
    this.#held.delete(kind);
    for (const answer of waiting) answer();
  }

  /** Ends every watch; what happened since is told by the next list, since the version is gone. */
  breakWatches(): void {
    for (const { response } of this.#watches) response.destroy();
    this.#watches.clear();
  }

  /** Ends every watch in good order. */
  endWatches(): void {
    for (const { response } of this.#watches) response.end();
  }

  /** Tells watches how far they are, as once a minute and before they end. */
  bookmark(kind: Kind): void {
    this.#tell(kind, 'BOOKMARK', { metadata: { resourceVersion: String(this.#version) } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #tell(kind: Kind, type: string, object: object): void {
    if (this.frozen) return;
    for (const watch of this.#watches)
      if (watch.kind === kind) watch.response.write(`${JSON.stringify({ type, object })}\n`);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://fake');
      this.asked.push(url.pathname + url.search);
      if (this.fault === 'reset') return void request.socket.destroy();
      if (this.fault === 'silence') return this.#leave(response);
      const failure = this.fault ?? this.answer(request.method ?? '', url.pathname, body);
      if (isStatus(failure))
        return send(response, failure.status, { kind: 'Status', code: failure.status, message: failure.message ?? '' });
      if (failure instanceof Promise) return void failure.then((answer: object) => send(response, 200, answer));
      if (failure !== undefined) return send(response, 200, failure);
      const kind = /^\/api\/v1\/(nodes|pods)$/.exec(url.pathname)?.[1] as Kind | undefined;
      if (kind === undefined) return send(response, 404, { kind: 'Status', code: 404 });
      if (url.searchParams.get('watch') === 'true') {
        if (this.watchAnswer !== undefined) return void response.writeHead(200).end(this.watchAnswer);
        if (Number(url.searchParams.get('resourceVersion')) < this.#version)
          return send(response, 410, { kind: 'Status', code: 410 });
        response.writeHead(200, { 'content-type': 'application/json' });
        response.flushHeaders();
        this.#watch(kind, response, Number(url.searchParams.get('timeoutSeconds') ?? 3_600));
        return;
      }
      const list = (): void => {
        const all = [...this.#objects[kind].values()];
        const from = Number(url.searchParams.get('continue') ?? 0);
        const to = from + Number(url.searchParams.get('limit') ?? all.length);
        const more = to < all.length ? { continue: String(to) } : {};
        const metadata = { resourceVersion: String(this.#version), ...more };
        send(response, 200, { kind: 'List', metadata, items: all.slice(from, to) });
      };
      const held = this.#held.get(kind);
      if (held === undefined) list();
      else held.push(list);
    });
  }

  #leave(response: ServerResponse): void {
    this.unanswered += 1;
    response.on('close', () => {
      this.unanswered -= 1;
    });
  }

  #watch(kind: Kind, response: ServerResponse, seconds: number): void {
    const watch = { kind, response };
    this.#watches.add(watch);
    const timer = setTimeout(() => this.frozen || response.end(), seconds * 1_000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
  }
}

const isStatus = (value: unknown): value is { status: number; message?: string } =>
  typeof value === 'object' && value !== null && typeof (value as { status?: unknown }).status === 'number';

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
