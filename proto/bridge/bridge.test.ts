import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Fault } from '../fault.ts';
import { IngestService } from '../gen/kcorder/v1/ingest_pb.ts';
import { OperatorService } from '../gen/kcorder/v1/operator_pb.ts';
import { connect } from './connect.ts';
import { type CallContext, type Handlers, serve } from './serve.ts';

type Operator = Handlers<typeof OperatorService>;
type Upload = Handlers<typeof IngestService>['upload'];

const unexpected = async () => {
  throw new Error('nobody should call this');
};
const none = async function* () {
  yield* [];
};
const nothing: Operator = {
  createCapture: unexpected,
  getCapture: unexpected,
  listCaptures: unexpected,
  watchCapture: none,
  cancelCapture: unexpected,
  downloadEvidence: none,
  getAnalysis: unexpected,
  analyzeCapture: unexpected,
  cancelAnalysis: unexpected,
  listPlugins: unexpected,
  listNodes: unexpected,
  resolvePods: unexpected,
  approveCapture: unexpected,
  getVersion: unexpected,
};

let operator: Operator = nothing;
let upload: Upload = none;
let admit: (context: CallContext) => void = () => undefined;
let endings: (string | undefined)[] = [];
const server = new Server();
let client: Client;

beforeAll(async () => {
  const edge = {
    admit: (context: CallContext) => admit(context),
    ended: (_: CallContext, fault: Fault | undefined) => void endings.push(fault?.code),
  };
  const now: Operator = {
    ...nothing,
    getVersion: (request, context) => operator.getVersion(request, context),
    watchCapture: (request, context) => operator.watchCapture(request, context),
  };
  serve(server, OperatorService, now, edge);
  const ingest: Handlers<typeof IngestService> = {
    upload: (requests, context) => upload(requests, context),
    sendKernelTypes: async function* () {},
  };
  serve(server, IngestService, ingest, edge);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(() => {
  client.close();
  server.forceShutdown();
});
beforeEach(() => {
  operator = nothing;
  upload = none;
  admit = () => undefined;
  endings = [];
});

const calls = () => connect(OperatorService, client);

/** Waits for the call's ending to be seen at the server's edge. */
async function ending(): Promise<string | undefined> {
  while (endings.length === 0) await sleep(5);
  return endings[0];
}

test('a unary call: the request goes in, the answer comes back, the edge sees that it went well', async () => {
  operator = { ...nothing, getVersion: async () => ({ version: '7' }) };
  expect(await calls().getVersion({})).toMatchObject({ version: '7' });
  expect(endings).toEqual([undefined]);
});

test.each([
  {
    sentence: 'a fault',
    error: new Fault('node_busy', 'node n1 is being captured'),
    code: 'node_busy',
    message: 'node n1 is being captured',
  },
  {
    sentence: 'any other error',
    error: new Error('a secret path'),
    code: 'internal',
    message: 'an internal error; its cause is in the log of the program that reported it',
  },
])(
  '$sentence of a handler reaches the caller of a unary call and of a stream alike',
  async ({ error, code, message }) => {
    operator = {
      ...nothing,
      getVersion: async () => {
        throw error;
      },
      watchCapture: async function* () {
        yield {};
        throw error;
      },
    };
    await expect(calls().getVersion({})).rejects.toMatchObject({ code, message });
    const seen: unknown[] = [];
    await expect(async () => {
      for await (const response of calls().watchCapture({})) seen.push(response);
    }).rejects.toMatchObject({ code, message });
    expect(seen).toHaveLength(1);
    expect(endings).toEqual([code, code]);
  },
);

test('a call that is not admitted never reaches its handler', async () => {
  admit = ({ method }) => {
    throw new Fault('permission_denied', `not ${method.name}`);
  };
  await expect(calls().getVersion({})).rejects.toMatchObject({ code: 'permission_denied', message: 'not GetVersion' });
  await expect(calls().watchCapture({})[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    message: 'not WatchCapture',
  });
});

test('a deadline and a signal end a unary call, and its handler learns of it', async () => {
  let aborted = 0;
  operator = {
    ...nothing,
    getVersion: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted += 1;
          reject(signal.reason);
        });
      }),
  };
  await expect(calls().getVersion({}, { deadlineMs: 50 })).rejects.toMatchObject({ code: 'deadline_exceeded' });
  const controller = new AbortController();
  const call = calls().getVersion({}, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await expect(call).rejects.toMatchObject({ code: 'canceled' });
  await expect(calls().getVersion({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'canceled' });
  while (aborted < 2) await sleep(5);
});

test('a reader that leaves a stream ends its handler, whatever that waits for', async () => {
  let left = false;
  operator = {
    ...nothing,
    watchCapture: async function* (_, { signal }) {
      try {
        while (true) {
          yield {};
          await sleep(5, undefined, { signal });
        }
      } finally {
        left = true;
      }
    },
  };
  for await (const _ of calls().watchCapture({})) break;
  while (!left) await sleep(5);
  expect(await ending()).toBe('canceled');
});

test('a slow reader holds the handler back: it is not asked for more than the transport takes', async () => {
  let made = 0;
  operator = {
    ...nothing,
    watchCapture: async function* () {
      for (; made < 2000; made += 1) yield { capture: { reason: 'x'.repeat(60_000) } };
    },
  };
  const iterator = calls().watchCapture({})[Symbol.asyncIterator]();
  await iterator.next();
  await sleep(300);
  expect(made).toBeLessThan(1000);
  let read = 1;
  while (!(await iterator.next()).done) read += 1;
  expect(read).toBe(2000);
});

test('both directions of a call: answers follow requests, and the end of the requests is the end', async () => {
  upload = async function* (requests) {
    for await (const { message } of requests) {
      if (message.case === 'chunk') {
        yield {
          message: {
            case: 'acknowledgement',
            value: { durableOffset: message.value.offset + BigInt(message.value.data.length) },
          },
        };
      }
    }
  };
  const { send, end, responses } = connect(IngestService, client).upload();
  const iterator = responses[Symbol.asyncIterator]();
  for (let offset = 0; offset < 300_000; offset += 100_000) {
    await send({ message: { case: 'chunk', value: { offset: BigInt(offset), data: Buffer.alloc(100_000, offset) } } });
    expect((await iterator.next()).value).toMatchObject({
      message: { value: { durableOffset: BigInt(offset + 100_000) } },
    });
  }
  end();
  expect((await iterator.next()).done).toBe(true);
  expect(await ending()).toBeUndefined();
});

test('a handler that ends a call while the caller still sends: the caller gets the fault, later sends fail quietly', async () => {
  upload = async function* (requests) {
    for await (const _ of requests) throw new Fault('stream_fenced', 'attempt 2 has taken over');
    yield* [];
  };
  const { send, responses } = connect(IngestService, client).upload();
  await send({ message: { case: 'chunk', value: {} } });
  await expect(responses[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'stream_fenced' });
  await expect(send({ message: { case: 'chunk', value: {} } })).rejects.toBeInstanceOf(Fault);
});

test('a caller that resets a stream: the signal of its handler fires', async () => {
  const reason = Promise.withResolvers<unknown>();
  upload = async function* (requests, { signal }) {
    signal.addEventListener('abort', () => reason.resolve(signal.reason));
    // The transport ends the requests of a reset call as if all had been said: only the signal tells.
    for await (const _ of requests);
    yield* [];
  };
  const { send, cancel } = connect(IngestService, client).upload();
  await send({ message: { case: 'chunk', value: {} } });
  cancel();
  expect(await reason.promise).toMatchObject({ code: 'canceled', message: 'the caller went away' });
});
