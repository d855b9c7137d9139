import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { ClientHttp2Session } from 'node:http2';
import net, { type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { EnrolRequestSchema } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { framed, type RawEnding, rawCall, rawSession } from '../../../collector/testing/raw-caller.ts';

/** Whom an attack is for. */
export interface Target {
  /** The port for strangers. */
  readonly apiPort: number;
  /** The port for certificates. */
  readonly port: number;
  readonly ca: Buffer;
  /** Of somebody known who has turned hostile. */
  readonly identity: TlsIdentity;
  readonly signal: AbortSignal;
  /** Is told how each call ended. */
  ended(ending: RawEnding | 'connection'): void;
}

type Attack = (target: Target) => Promise<void>;

/** The attacks, each by one process, for as long as the signal lets it. */
export const attacks: Readonly<Record<string, Attack>> = {
  'health-watch': (target) =>
    repeat(target, 4, (session) => {
      const { stream, ended } = rawCall(session, '/grpc.health.v1.Health/Watch');
      stream.end(largeName);
      return ended;
    }),
  unfinished: (target) =>
    repeat(
      target,
      40,
      (session) => {
        const { stream, ended } = rawCall(session, '/kcorder.v1.OperatorService/CreateCapture');
        stream.write(unfinished);
        return ended;
      },
      32,
    ),
  'reflection-unread': async (target) => {
    const session = rawSession(target.port, target.ca, target.identity, { initialWindowSize: 1_000 });
    const { stream, ended } = rawCall(session, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', {
      leaveAnswers: true,
    });
    void ended.then(target.ended);
    for (let sent = 0; sent < 2_000_000 && !target.signal.aborted; sent += described.length) {
      if (!stream.write(described)) await sleep(1);
    }
    await over(target);
    session.destroy();
  },
  'join-tokens': (target) => paced(target, 175, (i) => enrol(`kcj_garbage-${i}`)),
  enrolments: (target) =>
    repeat(target, 4, (session, i) => {
      const { stream, ended } = rawCall(session, enrolPath);
      stream.end(enrol(`kcj_flood-${i}`));
      return ended;
    }),
  'bearer-tokens': (target) =>
    repeat(
      target,
      2,
      (session, i) => {
        const headers = { authorization: `Bearer garbage-${i}` };
        const { stream, ended } = rawCall(session, '/kcorder.v1.OperatorService/ListNodes', { headers });
        stream.end(framed(0));
        return ended;
      },
      32,
    ),
  'rapid-reset': (target) =>
    repeat(target, 2, (session) => {
      for (let i = 0; i < 100 && !session.closed; i += 1) {
        const reset = rawCall(session, '/kcorder.v1.OperatorService/ListNodes');
        reset.stream.close(8);
      }
      const { stream, ended } = rawCall(session, '/kcorder.v1.OperatorService/ListNodes');
      stream.close(8);
      return ended;
    }),
  unauthenticated: (target) =>
    repeat(
      target,
      4,
      (session) => {
        const { stream, ended } = rawCall(session, '/kcorder.v1.OperatorService/GetVersion');
        stream.end(framed(0));
        return ended;
      },
      32,
    ),
  'idle-tls': (target) =>
    crowd(target, () =>
      tls.connect({
        ...{ port: target.apiPort, host: '127.0.0.1', ca: target.ca, servername: 'localhost', ALPNProtocols: ['h2'] },
      }),
    ),
  'half-open': (target) => crowd(target, () => net.connect(target.apiPort, '127.0.0.1')),
};

const enrolPath = '/kcorder.v1.EnrolmentService/Enrol';
const largeName = framed(
  1_000_004,
  Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), Buffer.alloc(1_000_000, 'x')]),
);
const unfinished = framed(1 << 20).subarray(0, (1 << 20) - 1);
const symbol = Buffer.from('kcorder.v1.OperatorService');
const described = framed(symbol.length + 2, Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]));

const over = async ({ signal }: Target): Promise<void> => {
  while (!signal.aborted) await sleep(50);
};

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A request with a proof that is right for its garbage token. */
function enrol(token: string): Buffer {
  const digest = createHash('sha256').update(token).digest();
  const request = create(EnrolRequestSchema, {
    credential: { case: 'joinToken', value: token },
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    proof: sign('sha256', Buffer.concat([Buffer.from('kcorder enrolment v1\n'), digest]), privateKey),
  });
  const bytes = Buffer.from(toBinary(EnrolRequestSchema, request));
  return framed(bytes.length, bytes);
}

/** Makes calls on so many connections, so many at once on each, with a new connection for each that was ended. */
async function repeat(
  target: Target,
  connections: number,
  call: (session: ClientHttp2Session, number: number) => Promise<RawEnding>,
  atOnce = 8,
): Promise<void> {
  let number = 0;
  const attack = async (): Promise<void> => {
    while (!target.signal.aborted) {
      const session = rawSession(target.apiPort, target.ca);
      const end = (): void => session.destroy();
      target.signal.addEventListener('abort', end, { once: true });
      const one = async (): Promise<void> => {
        while (!session.closed && !session.destroyed) {
          number += 1;
          target.ended(await call(session, number));
        }
      };
      await Promise.all(Array.from({ length: atOnce }, one)).catch(() => undefined);
      target.signal.removeEventListener('abort', end);
      target.ended('connection');
      session.destroy();
      await sleep(1);
    }
  };
  await Promise.all(Array.from({ length: connections }, attack));
}

/** Calls for enrolment so many times per second, each on a connection that is as good as new. */
async function paced(target: Target, perSecond: number, request: (number: number) => Buffer): Promise<void> {
  let session = rawSession(target.apiPort, target.ca);
  for (let i = 0; !target.signal.aborted; i += 1) {
    if (session.closed || session.destroyed) session = rawSession(target.apiPort, target.ca);
    const { stream, ended } = rawCall(session, enrolPath);
    stream.end(request(i));
    void ended.then(target.ended);
    await sleep(1_000 / perSecond);
  }
  session.destroy();
}

/** 3,000 connections that say nothing more, each made anew when it was ended. */
async function crowd(target: Target, open: () => Socket): Promise<void> {
  const sockets = new Set<Socket>();
  while (!target.signal.aborted) {
    for (let i = 0; i < 100 && sockets.size < 3_000; i += 1) {
      const socket = open().on('error', () => undefined);
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        target.ended('connection');
      });
    }
    await sleep(20);
  }
  for (const socket of sockets) socket.destroy();
}
