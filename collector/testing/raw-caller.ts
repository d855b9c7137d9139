import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';

/** How a raw call ended: with a status, or without one when its stream or connection was ended. */
export interface RawEnding {
  readonly status: number | undefined;
  readonly message: string;
  /** Milliseconds after which to come again. */
  readonly pushbackMs: number | undefined;
  /** Code that the stream was reset with. */
  readonly rstCode: number;
}

/** A call of which one can send and read any part. */
export interface RawCall {
  readonly stream: ClientHttp2Stream;
  readonly ended: Promise<RawEnding>;
}

/** An http2 connection that does what no grpc client would. */
export function rawSession(
  port: number,
  ca: Buffer,
  identity?: TlsIdentity,
  settings: http2.Settings = {},
  localAddress = '127.0.0.1',
): ClientHttp2Session {
  const shown = identity && { cert: identity.certificate, key: identity.key };
  return http2
    .connect(`https://127.0.0.1:${port}`, {
      ...{ ca, servername: 'localhost', settings, maxSessionMemory: 1_000, localAddress },
      ...shown,
    })
    .on('error', () => undefined);
}

/** Opens a call; its answers are read unless they are to be left. */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  { headers = {}, leaveAnswers = false }: { headers?: Record<string, string>; leaveAnswers?: boolean } = {},
): RawCall {
  const stream = session.request({
    ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
    ...headers,
  });
  let seen: IncomingHttpHeaders = {};
  const ended = new Promise<RawEnding>((resolve) => {
    stream.on('response', (given) => {
      seen = { ...seen, ...given };
    });
    stream.on('trailers', (given) => {
      seen = { ...seen, ...given };
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(endingOf(seen, stream.rstCode ?? 0)));
  });
  if (!leaveAnswers) stream.resume();
  return { stream, ended };
}

/** The head of a gRPC message of so many bytes, and what there is of it. */
export function framed(bytes: number, body: Buffer = Buffer.alloc(bytes), flag = 0): Buffer {
  const head = Buffer.alloc(5, flag);
  head.writeUInt32BE(bytes, 1);
  return Buffer.concat([head, body]);
}

function endingOf(seen: IncomingHttpHeaders, rstCode: number): RawEnding {
  const number = (name: string): number | undefined => (seen[name] === undefined ? undefined : Number(seen[name]));
  return {
    status: number('grpc-status'),
    message: decodeURI(String(seen['grpc-message'] ?? '')),
    pushbackMs: number('grpc-retry-pushback-ms'),
    rstCode,
  };
}
