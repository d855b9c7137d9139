import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Counters } from './counters.ts';
import { serveAgentMetrics } from './metrics.ts';
import { makeFakeAvml } from './testing/fake-avml.ts';
import { Rig, until } from './testing/rig.ts';

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return `127.0.0.1:${address.port}`;
}

const read = async (address: string): Promise<string> => await (await fetch(`http://${address}/metrics`)).text();

/** The value of one series; undefined when it is not there. */
async function value(address: string, series: string): Promise<number | undefined> {
  const line = (await read(address)).split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

test('the series follow a capture: its bytes, its break, the end of AVML', async () => {
  await using rig = new Rig();
  rig.metricsListen = await freeAddress();
  const at = async (series: string) => await value(rig.metricsListen, series);
  const avml = makeFakeAvml(rig.dir, 3_000_001);
  await rig.start(avml);
  await until(() => rig.saw('attached'));
  expect(await at('kcorder_agent_build_info{version="0.1.0"}')).toBe(1);
  expect(await at('kcorder_agent_attached')).toBe(1);
  expect(await at('kcorder_agent_avml_exits_total{result="ok"}')).toBe(0);
  expect(await at('kcorder_agent_window_size_bytes')).toBe(1 << 20);
  expect(await at('kcorder_agent_preflight_refusals{reason="no_kcore"}')).toBe(0);
  const certificate = [
    await at('kcorder_agent_certificate_not_before_timestamp_seconds'),
    await at('kcorder_agent_certificate_not_after_timestamp_seconds'),
  ];
  expect(certificate[0]).toBeLessThan(certificate[1] ?? 0);

  const held = Promise.withResolvers<void>();
  rig.collector.bends.chunk = (offsetBytes) => (offsetBytes >= 1 << 20 ? held.promise : undefined);
  rig.collector.order('c-1');
  await until(() => rig.collector.image.length >= 1 << 20);
  expect(await at('kcorder_agent_captures_running')).toBe(1);
  expect(await at('kcorder_agent_preflight_refusals{reason="capture_running"}')).toBe(1);
  rig.collector.bends = {};
  held.reject(new Error('cut by the test'));
  await until(() => rig.collector.sealed && rig.saw('evidence sealed'));
  await expect.poll(() => at('kcorder_agent_captures_running')).toBe(0);
  expect(await at('kcorder_agent_read_bytes_total')).toBe(3_000_001);
  expect(await at('kcorder_agent_sent_bytes_total')).toBeGreaterThanOrEqual(3_000_001);
  expect(await at('kcorder_agent_upload_resumptions_total')).toBeGreaterThanOrEqual(1);
  expect(await at('kcorder_agent_avml_exits_total{result="ok"}')).toBe(1);
  expect(await at('kcorder_agent_window_bytes')).toBe(0);
  expect(await read(rig.metricsListen)).not.toMatch(/web-0|nginx|c-1/);
});

test('the metrics go with the agent', async () => {
  const address = await freeAddress();
  {
    await using rig = new Rig();
    rig.metricsListen = address;
    await rig.start(makeFakeAvml(rig.dir, 1000));
    expect(await read(address)).toContain('kcorder_agent_attached');
  }
  await expect(read(address)).rejects.toThrow('fetch failed');
});

const facts = {
  version: '0.1.0',
  counters: new Counters(),
  windowBytes: 1,
  certificate: () => undefined,
  refusals: () => [],
};

test.each([
  ['another path', '/', 'GET'],
  ['a query', '/metrics?x=1', 'GET'],
  ['another method', '/metrics', 'POST'],
])('there is nothing else to be had: %s', async (_, path, method) => {
  const address = await freeAddress();
  const end = await serveAgentMetrics(address, facts);
  expect((await fetch(`http://${address}${path}`, { method })).status).toBe(404);
  expect(await value(address, 'kcorder_agent_certificate_not_after_timestamp_seconds')).toBeUndefined();
  end();
});

test('all who scrape at once share one answer', async () => {
  const address = await freeAddress();
  let readings = 0;
  const refusals = () => {
    readings += 1;
    return [];
  };
  const end = await serveAgentMetrics(address, { ...facts, refusals });
  await Promise.all(Array.from({ length: 16 }, () => read(address)));
  expect(readings).toBeLessThan(16);
  end();
});

test('who sends many scrapes at once on one connection loses it, and the next scrape is answered', async () => {
  const address = await freeAddress();
  const end = await serveAgentMetrics(address, facts);
  // The pause after it keeps the next answer pending.
  await read(address);
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1').on('error', () => undefined);
  socket.resume().write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(2_000));
  await new Promise((resolve) => socket.once('close', resolve));
  expect(socket.bytesRead).toBe(0);
  expect(await value(address, 'kcorder_agent_captures_running')).toBe(0);
  end();
});

test('headers that are too long are refused', async () => {
  const address = await freeAddress();
  const end = await serveAgentMetrics(address, facts);
  const answer = await fetch(`http://${address}/metrics`, { headers: { 'x-long': 'x'.repeat(16 << 10) } });
  expect(answer.status).toBe(431);
  end();
});

test('a port that is taken is refused, with what to do', async () => {
  const address = await freeAddress();
  const end = await serveAgentMetrics(address, facts);
  await expect(serveAgentMetrics(address, facts)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(`cannot be served on ${address}`),
  });
  end();
});
