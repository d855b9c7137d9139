import { Writable } from 'node:stream';
import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Fault } from '../fault.ts';
import { GetVersionResponseSchema } from '../gen/kcorder/v1/operator_pb.ts';
import { pump } from './stream.ts';

/** A stream that sends a message only when it is told to, and how many it was asked to send in all. */
function slowSink() {
  const waiting: (() => void)[] = [];
  const sink = new Writable({ objectMode: true, write: (_message, _encoding, sent) => void waiting.push(sent) });
  return { sink, send: () => waiting.shift()?.() };
}

/** So many messages, and how many of them were asked for. */
function counted(count: number) {
  const asked = { times: 0 };
  async function* messages() {
    for (; asked.times < count; ) {
      asked.times += 1;
      yield create(GetVersionResponseSchema, { version: String(asked.times) });
    }
  }
  return { asked, messages: messages() };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a stream that sends nothing is given two messages, and one more for each that it has sent', async () => {
  const { sink, send } = slowSink();
  const { asked, messages } = counted(10);
  const pumped = pump(messages, sink, new AbortController().signal);
  for (let sent = 0; sent <= 8; sent += 1) {
    // More turns than the messages would take.
    for (let i = 0; i < 20; i += 1) await turn();
    expect(asked.times).toBe(sent + 2);
    send();
  }
  send();
  await pumped;
});

test('the wait for a stream that sends nothing ends with the reason of the signal, and so does what makes the messages', async () => {
  const { sink } = slowSink();
  let isOver = false;
  async function* messages() {
    try {
      while (true) yield create(GetVersionResponseSchema, {});
    } finally {
      isOver = true;
    }
  }
  const controller = new AbortController();
  const pumped = pump(messages(), sink, controller.signal);
  while (sink.writableLength < 2) await turn();
  await turn();
  const gone = new Fault('canceled', 'the caller went away');
  controller.abort(gone);
  await expect(pumped).rejects.toBe(gone);
  expect(isOver).toBe(true);
});

test('a fault waits until what was given to the stream is sent: the status that follows would be lost with it', async () => {
  const { sink, send } = slowSink();
  const { messages } = counted(10);
  const controller = new AbortController();
  let isOver = false;
  const pumped = pump(messages, sink, controller.signal).finally(() => {
    isOver = true;
  });
  while (sink.writableLength < 2) await turn();
  const fault = new Fault('stream_fenced', 'another attempt has taken over');
  controller.abort(fault);
  send();
  for (let i = 0; i < 20; i += 1) await turn();
  expect(isOver).toBe(false);
  send();
  await expect(pumped).rejects.toBe(fault);
});

test('a stream whose last message is not sent is not over: the right to it may still end', async () => {
  const { sink, send } = slowSink();
  const { asked, messages } = counted(1);
  const controller = new AbortController();
  let isOver = false;
  const pumped = pump(messages, sink, controller.signal).finally(() => {
    isOver = true;
  });
  while (asked.times < 1) await turn();
  for (let i = 0; i < 20; i += 1) await turn();
  expect(isOver).toBe(false);
  const fault = new Fault('permission_denied', 'alice may not any more');
  controller.abort(fault);
  send();
  await expect(pumped).rejects.toBe(fault);
});
