import { createHash } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SymbolsQuality } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeIsf } from './symbols/testing/symbol-files.ts';
import { freePort } from './testing/free-port.ts';
import { ordinaryHello } from './testing/hand-agent.ts';
import { limeImage } from './testing/lime-image.ts';
import { Parties, Rig } from './testing/rig.ts';

let parties: Parties;
beforeAll(() => {
  parties = new Parties();
});
afterAll(() => parties[Symbol.dispose]());

const told = 'Linux version 6.8.0-31-generic (buildd@h) (gcc) #31-Ubuntu SMP';
const ubuntu = `${told} (Ubuntu 6.8.0-31.31-generic 6.8.1)`;
const image = limeImage(1, [600_000]);
/** Linux gives none as high. */
const noProcess = 4_194_304;
const named = (banner: string) => Buffer.from(`${banner}\n\0`).toString('base64');

/** A program in the place of Python that finds this banner in every image, and nothing else: a parent and its one worker at once. */
function runner(dir: string, imageBanner: string, kernelMismatch: boolean): string {
  const path = join(dir, 'runner.sh');
  const place = { pagingLevels: 4, kernelOffset: '0x0', dtb: '0x1000' };
  const print = (line: object): string => `printf '%s\\n' '${JSON.stringify(line)}'`;
  const ofPlugin = (line: object): string =>
    print({ type: 'plugin', plugin: 'NAME', ...line }).replace('NAME', `'"$name"'`);
  const confined = print({ type: 'confined', level: 'full', landlockAbi: 7, seccomp: true });
  const script = `#!/bin/sh
read -r preparation
${confined}
${print({ type: 'ready' })}
read -r job
${print({ type: 'worker', slot: 0, pid: noProcess })}
{
  ${confined}
  ${print({ type: 'kernel', imageBanner, kernelMismatch, ...place })}
  while read -r dispatch; do
    name=\${dispatch#*'"name":"'}
    name=\${name%%'"'*}
    ${ofPlugin({ state: 'started' })}
    ${ofPlugin({ state: 'empty', rows: 0, seconds: 0 })}
  done
  ${print({ type: 'died', exit: 0 })}
} <&3 >&3
${print({ type: 'done', versions: {} })}
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}

test.each([
  ['that is of its kernel names its symbols for other Volatilities', ubuntu, false, [told, ubuntu]],
  ['of another kernel does not', ubuntu, true, [told]],
  ['with more than a group does not', `${ubuntu} (x)`, false, [told]],
])('the banner of an image %s', async (_what, imageBanner, mismatch, offered) => {
  const symbolsListen = `127.0.0.1:${await freePort()}`;
  const python = runner(parties.dir, imageBanner, mismatch);
  await using rig = await Rig.start(parties, { symbolsListen, python, analysisWorkers: 1, analysisProfile: 'quick' });
  const symbols = rig.symbols();
  const isf = Buffer.from(makeIsf(told));
  const upload = symbols.importSymbols();
  await upload.send({ message: { case: 'head', value: { fileName: 'x.json', size: BigInt(isf.length) } } });
  await upload.send({ message: { case: 'data', value: isf } });
  upload.end();
  let key = '';
  for await (const { symbols: kept } of upload.responses) key = kept?.key ?? '';

  const [agent, operator] = [rig.agent(), rig.operator()];
  await agent.attach({ kernel: { ...ordinaryHello.kernel, banner: told } });
  await operator.createCapture({ nodeName: 'n1', reason: 'a test', idempotencyKey: 'k' });
  const captureId = await agent.ordered();
  const sent = await agent.open(captureId);
  await sent.chunks(image);
  await sent.finish(image);
  expect(await sent.ended()).toBeUndefined();
  expect((await rig.done(captureId)).symbols?.quality).toBe(SymbolsQuality.PROVIDED);
  // What the profile has, and nothing else.
  const { plugins } = await operator.getAnalysis({ captureId });
  expect(plugins.map(({ name }) => name)).toEqual(['processes', 'sockets']);
  const bash = { name: 'linux.bash.Bash', arguments: [{ name: 'pid', value: '7' }] };
  await operator.analyzeCapture({ captureId, analysis: { plugins: [bash] } });
  for await (const _ of operator.watchCapture({ captureId }));
  const added = await operator.getAnalysis({ captureId });
  expect(added.plugins.map(({ name }) => name)).toEqual(['processes', 'sockets', bash.name]);
  expect(added.plugins.at(-1)?.arguments).toMatchObject(bash.arguments);

  const index = (await (await fetch(`http://${symbolsListen}/index.json`)).json()) as { linux: object };
  expect(Object.keys(index.linux).sort()).toEqual(offered.map(named).sort());

  const exported: Uint8Array[] = [];
  let header: { sha256: string; size: bigint; banner: string } | undefined;
  for await (const response of symbols.exportSymbols({ key })) {
    header ??= response.header;
    exported.push(response.data);
  }
  const banner = offered.at(-1) ?? '';
  const bytes = Buffer.concat(exported);
  expect(bytes.toString()).toBe(makeIsf(banner));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  expect(header).toMatchObject({ banner, sha256, size: BigInt(bytes.length) });
});
