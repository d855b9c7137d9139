import diagnostics from 'node:diagnostics_channel';
import http2 from 'node:http2';
import { receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { Parties, Rig } from '../testing/rig.ts';
import { widenReceiveWindows } from './receive-window.ts';

test('a session of the real server takes 8 MiB per round trip, for every stream and for the connection', async () => {
  using parties = new Parties();
  await using rig = await Rig.start(parties);
  const { ca, certificate, key } = parties.operator;
  const session = http2.connect(`https://127.0.0.1:${rig.port}`, {
    ca,
    cert: certificate,
    key,
    servername: 'localhost',
  });
  session.on('error', () => undefined);
  try {
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.state.remoteWindowSize).toBeLessThan(1 << 20);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/kcorder.v1.OperatorService/GetVersion',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    // An empty message: no compression, no bytes.
    stream.end(Buffer.alloc(5));
    await until(() => session.remoteSettings.initialWindowSize === receiveWindowBytes);
    await until(() => Number(session.state.remoteWindowSize) > receiveWindowBytes - (64 << 10));
  } finally {
    session.destroy();
  }
});

test('a session that cannot be widened is ended, and the fault says so', () => {
  widenReceiveWindows();
  let destroyed: unknown;
  const session = {
    state: { localWindowSize: 65_535 },
    setLocalWindowSize: () => undefined,
    settings: () => undefined,
    destroy: (error: unknown) => {
      destroyed = error;
    },
  };
  diagnostics.channel('http2.server.stream.created').publish({ stream: { session } });
  expect(destroyed).toBeInstanceOf(Fault);
  expect(destroyed).toMatchObject({ code: 'internal', message: expect.stringContaining('receive window') });
});
