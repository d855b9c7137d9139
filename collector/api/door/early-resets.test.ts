import tls from 'node:tls';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { afterAll, expect, test } from 'vitest';
import { frame, headersFrame, preface } from '../../testing/http2-frames.ts';
import { Parties, Rig } from '../../testing/rig.ts';

const parties = new Parties();
afterAll(() => parties[Symbol.dispose]());

const enhanceYourCalm = 11;

const headers = (stream: number, path: string): Buffer =>
  headersFrame(stream, [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ]);
const ping = frame('ping', 0, 0, Buffer.alloc(8));
const data = (bytes: number): Buffer => frame('data', 0, 1, Buffer.alloc(bytes));
const reset = (stream: number): Buffer => frame('reset', 0, stream, Buffer.from([0, 0, 0, enhanceYourCalm]));
/** Data while the server writes makes Node parse what follows in one go: a call and its reset are then told together. */
const begun = [preface, headers(1, '/kcorder.v1.EnrolmentService/Enrol'), ping, data(1), data(1)];
const resets = [3, 5, 7].flatMap((stream) => [
  headers(stream, '/kcorder.v1.OperatorService/GetVersion'),
  reset(stream),
]);

test('calls that are reset in the same breath end nothing but themselves', async () => {
  await using rig = await Rig.start(parties, { authority: 'directory' });
  for (let round = 0; round < 12; round += 1) {
    const sockets = Array.from({ length: 4 }, () =>
      tls
        .connect({
          port: rig.apiPort,
          host: '127.0.0.1',
          ca: parties.authority.ca,
          servername: 'localhost',
          ALPNProtocols: ['h2'],
        })
        .on('error', () => undefined),
    );
    await Promise.all(
      sockets.map(async (socket, index) => {
        await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
        socket.resume();
        socket.write(Buffer.concat(begun));
        if (index % 2 === 1) await new Promise((resolve) => setTimeout(resolve, round % 4));
        socket.write(Buffer.concat([ping, data(3), ...resets]));
        await new Promise((resolve) => setTimeout(resolve, 50));
        socket.destroy();
      }),
    );
  }
  const channel = openChannel(`127.0.0.1:${rig.port}`, parties.operator, { serverName: 'localhost' });
  expect(await connect(OperatorService, channel).getVersion({})).toMatchObject({ version: expect.any(String) });
  channel.close();
});
