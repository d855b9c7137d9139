import { Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { causeChain, Fault, type FaultCode, faults } from './fault.ts';

const codes = Object.keys(faults) as FaultCode[];

test.each(codes)('%s crosses the wire with its code and its sentence, and never with its cause', (code) => {
  const cause = new Error('a path and a secret');
  const sent = new Fault(code, 'what happened, and what to do', { cause });
  const onTheWire = sent.toStatus();
  expect(onTheWire.code).toBe(faults[code].grpc);
  expect(JSON.stringify([onTheWire.details, onTheWire.metadata.toJSON()])).not.toContain('secret');
  const received = Fault.from(Object.assign(new Error('7 …: what happened'), onTheWire));
  expect(received).toMatchObject({ code, message: 'what happened, and what to do', retry: faults[code].retry });
});

test.each(codes)('%s has a status of an error on every way out', (code) => {
  const { grpc, http, exit } = faults[code];
  expect(status[grpc]).toBeDefined();
  expect(grpc).not.toBe(status.OK);
  expect(http).toBeGreaterThanOrEqual(400);
  expect([1, 2, 124, 130]).toContain(exit);
});

test('when to come again crosses the wire, as clients of any language read it', () => {
  const sent = new Fault('resource_exhausted', 'later', { retryAfterMs: 1_500.2 }).toStatus();
  expect(sent.metadata.get('grpc-retry-pushback-ms')).toEqual(['1501']);
  expect(Fault.from(Object.assign(new Error('8 later'), sent)).retryAfterMs).toBe(1_501);
});

test.each(['', '-1', 'soon', '1e999'])('a time to come again of "%s" is none', (text) => {
  const sent = new Fault('resource_exhausted', 'later').toStatus();
  sent.metadata.set('grpc-retry-pushback-ms', text);
  expect(Fault.from(Object.assign(new Error('8 later'), sent)).retryAfterMs).toBeUndefined();
});

const grpcError = (code: status, details: string, metadata = new Metadata()) =>
  Object.assign(new Error(`${code} ${details}`), { code, details, metadata });

function named(name: string): Metadata {
  const metadata = new Metadata();
  metadata.set('kcorder-fault', name);
  return metadata;
}

test.each([
  {
    sentence: 'a status of the transport',
    error: grpcError(status.UNAVAILABLE, 'No connection established'),
    code: 'unavailable',
  },
  { sentence: 'a deadline', error: grpcError(status.DEADLINE_EXCEEDED, 'too late'), code: 'deadline_exceeded' },
  { sentence: 'a status that we never send', error: grpcError(status.UNKNOWN, 'odd'), code: 'internal' },
  {
    sentence: 'a code that this version does not know',
    error: grpcError(status.NOT_FOUND, 'x', named('node_melted')),
    code: 'internal',
  },
  {
    sentence: 'a name of every object',
    error: grpcError(status.UNAVAILABLE, 'x', named('toString')),
    code: 'unavailable',
  },
  { sentence: 'an abort', error: new DOMException('This operation was aborted', 'AbortError'), code: 'canceled' },
  { sentence: 'any other error', error: new TypeError('x is not a function'), code: 'internal' },
  { sentence: 'something that is no error at all', error: 'what', code: 'internal' },
])('$sentence becomes $code', ({ error, code }) => {
  const fault = Fault.from(error);
  expect(fault).toBeInstanceOf(Fault);
  expect(fault.code).toBe(code);
});

test('a sentence that quotes a text cut within a character can be sent', () => {
  const cut = `no symbols are kept under ${'a\u{1f600}b'.slice(0, 2)}`;
  expect(encodeURI(new Fault('symbols_unknown', cut).toStatus().details)).toBe(
    encodeURI('no symbols are kept under a\ufffd'),
  );
});

test('the text of an unknown error stays behind', () => {
  const fault = Fault.from(new Error('a path and a secret'));
  expect(fault.message).not.toContain('secret');
  expect(causeChain(fault)).toEqual([`Fault: ${fault.message}`, 'Error: a path and a secret']);
});

test('a fault stays what it is, also as the reason of an abort', () => {
  const fault = new Fault('stream_fenced', 'attempt 2 has taken over');
  expect(Fault.from(fault)).toBe(fault);
  const abort = Object.assign(new Error('aborted', { cause: fault }), { name: 'AbortError' });
  expect(Fault.from(abort)).toBe(fault);
});

test('a chain of causes that has no end is cut', () => {
  const loop = new Error('again');
  loop.cause = loop;
  expect(causeChain(loop)).toHaveLength(8);
  expect(causeChain('text')).toEqual(['text']);
  expect(causeChain(undefined)).toEqual([]);
});
