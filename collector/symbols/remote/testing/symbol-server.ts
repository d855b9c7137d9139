import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** How one request is answered, where it differs from what a good server with ranges does. */
export interface Behaviour {
  /** Answered with this status and no body. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ignoreRange?: boolean;
  readonly ignoreIfRange?: boolean;
  /** Another object in this one's place. */
  readonly bytes?: Buffer;
  /** A null is no ETag. */
  readonly etag?: string | null;
  /** The socket is destroyed behind so many bytes of the body. */
  readonly cutBytes?: number;
  /** Nothing more comes behind so many bytes. */
  readonly stallBytes?: number;
  /** So many bytes at a time, 5 ms apart. */
  readonly dripBytes?: number;
  readonly beforeHeadersMs?: number;
  readonly chunked?: boolean;
  /** No length at all: the body ends with the connection, as in HTTP/1.0. */
  readonly lengthless?: boolean;
  readonly gzip?: boolean;
  /** Sent behind the object, in chunks. */
  readonly surplus?: Buffer;
  readonly endless?: boolean;
}

/** What was asked. */
export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly status: number;
}

type Script = readonly Behaviour[] | ((nth: number) => Behaviour);

/** A web server of symbols on the loopback that behaves as well or as badly as it is told. */
export class SymbolServer {
  readonly asked: Asked[] = [];
  /** Bytes of bodies that were sent. */
  servedBytes = 0;
  connections = 0;
  /** Waited for before a cut; gets the bytes sent so far. What a client has not yet read is lost to it with the connection. */
  beforeCut: (servedBytes: number) => Promise<unknown> = async () => {};
  readonly #server: Server;
  readonly #objects = new Map<string, { bytes: Buffer; script: Script; nth: number }>();
  readonly #scheme: string;

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    this.#scheme = scheme;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response));
    server.on('connection', () => {
      this.connections += 1;
    });
  }

  /** With TLS when there is a certificate. */
  static async start(tls?: { readonly key: string; readonly cert: string }): Promise<SymbolServer> {
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SymbolServer(server, tls === undefined ? 'http' : 'https');
  }

  get base(): URL {
    const { port } = this.#server.address() as AddressInfo;
    return new URL(`${this.#scheme}://127.0.0.1:${port}`);
  }

  url(path: string): URL {
    return new URL(path, this.base);
  }

  /** `script`: how the first, the second… request for it is answered; those after it as a good server does. */
  put(path: string, bytes: Buffer, script: Script = []): URL {
    this.#objects.set(path, { bytes, script, nth: 0 });
    return this.url(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const { pathname } = new URL(request.url ?? '/', this.base);
    const object = this.#objects.get(pathname);
    const how: Behaviour =
      object === undefined
        ? { status: 404 }
        : ((Array.isArray(object.script)
            ? object.script[object.nth]
            : (object.script as (nth: number) => Behaviour)(object.nth)) ?? {});
    if (object !== undefined) object.nth += 1;
    const bytes = how.bytes ?? object?.bytes ?? Buffer.alloc(0);
    const { range } = request.headers;
    const note = (status: number) => this.asked.push({ path: pathname, range, headers: request.headers, status });
    if (how.beforeHeadersMs !== undefined) await sleep(how.beforeHeadersMs);
    if (how.status !== undefined) {
      note(how.status);
      response.writeHead(how.status, { 'content-length': 0, ...how.headers }).end();
      return;
    }
    const etag = how.etag === undefined ? '"one"' : how.etag;
    const version: Record<string, string> = etag === null ? {} : { etag };
    const ifRange = request.headers['if-range'];
    const sameObject = ifRange === undefined || (ifRange === etag && how.ignoreIfRange !== true);
    const part = how.ignoreRange === true || !sameObject ? undefined : readRange(range, bytes.length);
    const plain = part === undefined ? bytes : bytes.subarray(part.from, part.to);
    const coded = how.gzip === true ? gzipSync(plain) : plain;
    const body = how.surplus === undefined ? coded : Buffer.concat([coded, how.surplus]);
    const chunked = how.chunked === true || how.surplus !== undefined || how.endless === true;
    const status = part === undefined ? 200 : 206;
    note(status);
    if (how.lengthless === true) {
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
    }
    response.writeHead(status, {
      ...version,
      ...(part !== undefined && { 'content-range': `bytes ${part.from}-${part.to - 1}/${bytes.length}` }),
      ...(how.gzip === true && { 'content-encoding': 'gzip' }),
      ...(!chunked && how.lengthless !== true && { 'content-length': body.length }),
      ...how.headers,
    });
    response.flushHeaders();
    await this.#send(response, body, how);
  }

  async #send(response: ServerResponse, body: Buffer, how: Behaviour): Promise<void> {
    const { cutBytes, stallBytes, dripBytes } = how;
    const most = Math.min(body.length, cutBytes ?? stallBytes ?? body.length);
    for (let at = 0; at < most && !response.destroyed; ) {
      const next = Math.min(most, at + (dripBytes ?? 65_536));
      await this.#write(response, body.subarray(at, next));
      at = next;
      if (dripBytes !== undefined) await sleep(5);
    }
    while (how.endless === true && !response.destroyed) await this.#write(response, Buffer.alloc(65_536, 1));
    if (cutBytes !== undefined) {
      if (how.gzip !== true) await this.beforeCut(this.servedBytes);
      response.destroy();
    } else if (stallBytes === undefined) response.end();
  }

  async #write(response: ServerResponse, bytes: Buffer): Promise<void> {
    this.servedBytes += bytes.length;
    await new Promise<void>((resolve) => {
      response.once('close', resolve);
      response.write(bytes, () => {
        response.off('close', resolve);
        resolve();
      });
    });
  }
}

function readRange(text: string | undefined, sizeBytes: number): { from: number; to: number } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(text ?? '');
  if (match === null) return undefined;
  const from = Number(match[1]);
  const to = match[2] === '' ? sizeBytes : Math.min(Number(match[2]) + 1, sizeBytes);
  return from < to ? { from, to } : undefined;
}
