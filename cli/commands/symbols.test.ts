import { Fault } from '@kcorder/proto/fault.ts';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Certificates, makeCertificates, startCollector } from '../fixtures/collector.ts';
import { runCommand, type Surroundings } from '../fixtures/command.ts';
import { missingBuildId, missingOf, providedOf, readyBuildId, readyOf } from '../fixtures/lab-symbols.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates[Symbol.dispose]());

type Handlers = Parameters<typeof startCollector>[1];

const listing: Handlers = {
  listSymbols: async () => ({
    symbols: [readyOf(), missingOf(), providedOf()],
    keptBytes: 32_505_856n,
    limitBytes: 21_474_836_480n,
  }),
};

async function kcorder(line: string, handlers: Handlers = {}, surroundings: Surroundings = {}) {
  await using collector = await startCollector(certificates, { ...listing, ...handlers });
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  return await runCommand(['symbols', ...line.split(' ')], { environment, ...surroundings });
}

test('get lists every kernel, and says what is kept', async () => {
  const ran = await kcorder('get');
  expect(ran.stdout).toMatch(/^KERNEL .*\n6\.6\.72\+ .*ready .*\n6\.12\.0-2-amd64 .*missing .*\n6\.1\.0-56-cloud/);
  expect(ran.stderr).toBe('2 kept, 31.0 MiB of 20.0 GiB.\n');
  expect(ran.exit).toBe(0);
});

test('get in JSON and YAML carries the same, and says nothing else', async () => {
  const ran = await kcorder('get -o json');
  const json = JSON.parse(ran.stdout);
  expect(json.symbols.map(({ key }: { key: string }) => key)).toEqual([readyBuildId, missingBuildId, providedOf().key]);
  expect(json.limitBytes).toBe('21474836480');
  expect(parse((await kcorder('get -o yaml')).stdout)).toEqual(json);
  expect(ran.stderr).toBe('');
  const one = JSON.parse((await kcorder('get lab-2 -o json')).stdout);
  expect(one).toMatchObject({ buildId: missingBuildId, status: { state: 'SYMBOLS_STATE_MISSING' } });
});

test('get of a collector that knows no kernel says so', async () => {
  const ran = await kcorder('get', { listSymbols: async () => ({ limitBytes: 1024n }) });
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toBe('No kernels: no agent has ever attached to this collector.\n0 kept, 0 B of 1.0 KiB.\n');
});

test.each(['lab-2', missingBuildId, '4f1c9a77', '6.12.0-2-amd64'])('get %s shows one kernel', async (word) => {
  const { stdout, exit } = await kcorder(`get ${word}`);
  expect(stdout).toMatch(/^KERNEL .*\n6\.12\.0-2-amd64 .*\n\nbanner {7}Linux version 6\.12\.0-2-amd64 /);
  expect(stdout).toMatch(/\nmissing: Import its ISF with `kcorder symbols import`\./);
  expect(exit).toBe(0);
});

test.each([
  ['an unknown kernel', 'get nope', 1, /^kcorder: "nope" is no node, kernel release or build-id that the collector/],
  ['an ambiguous beginning', 'get 4f1c9a', 2, /^kcorder: "4f1c9a" means 2 kernels: 6\.6\.72\+ \(4f1c9a0be2d3/],
  ['nothing kept to pin', 'pin lab-2', 1, /^kcorder: no symbols of kernel 6\.12\.0-2-amd64 \(.*\) are kept: /],
  ['nothing kept to unpin', 'unpin lab-2', 1, /are kept: their state is missing\. `kcorder symbols get` lists/],
  ['nothing kept to delete', 'delete lab-2', 1, /are kept: their state is missing\. `kcorder symbols get` lists/],
  ['nothing kept to export', 'export lab-2', 1, /are kept: their state is missing\. `kcorder symbols get` lists/],
])('%s: kcorder symbols %s', async (_what, line, exit, expected) => {
  const ran = await kcorder(line);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(exit);
});

test('an older collector is named as such', async () => {
  await using collector = await startCollector(certificates, {}, { old: true });
  const environment = { KCORDER_COLLECTOR: collector.address, KCORDER_TLS_DIR: certificates.operatorDir };
  const ran = await runCommand(['symbols', 'get'], { environment });
  expect(ran.stderr).toMatch(
    /^kcorder: the collector at .* does not know this command\. Is it older than this program\?/,
  );
  expect(ran.exit).toBe(1);
});

test.each([
  ['pin', true, 'The symbols of 6.1.0-56-cloud-amd64 ', 'are pinned: they are never evicted.'],
  ['unpin', false, 'The symbols of 6.1.0-56-cloud-amd64 ', 'are no longer pinned: they may be evicted'],
])('%s is told to the collector by key', async (verb, pinned, begin, end) => {
  const seen: unknown[] = [];
  const ran = await kcorder(`${verb} 6.1.0-56-cloud-amd64`, {
    pinSymbols: async ({ key, pinned: wanted }) => {
      seen.push([key, wanted]);
      return { symbols: providedOf({ pinned: wanted }) };
    },
  });
  expect(seen).toEqual([[providedOf().key, pinned]]);
  expect(ran.stderr).toContain(begin);
  expect(ran.stderr).toContain(end);
  expect(ran.stdout).toMatch(pinned ? / yes +0 +/ : / - +0 +/);
  expect(ran.exit).toBe(0);
});

test('delete names what is gone and how it comes back', async () => {
  const seen: string[] = [];
  const deleteSymbols: NonNullable<Handlers['deleteSymbols']> = async ({ key }) => {
    seen.push(key);
    return {};
  };
  const ran = await kcorder('delete lab-1', { deleteSymbols });
  expect(seen).toEqual([readyBuildId]);
  expect(ran.stdout).toBe(`symbols of 6.6.72+ (${readyBuildId}) deleted, 30.0 MiB\n`);
  expect(ran.stderr).toBe('2 nodes run this kernel: `kcorder symbols find lab-1` looks for its symbols again.\n');
  expect(JSON.parse((await kcorder('delete lab-1 -o json', { deleteSymbols })).stdout)).toEqual({
    deleted: readyBuildId,
  });
});

test.each([
  ['ready', readyOf(), 0],
  ['missing', missingOf(), 1],
])(
  'find ends with the detail of a kernel whose symbols are %s, and the exit code says it too',
  async (_w, symbols, exit) => {
    const seen: string[] = [];
    const ran = await kcorder('find lab-1', {
      findSymbols: async ({ nodeName }) => {
        seen.push(nodeName);
        return { symbols };
      },
    });
    expect(seen).toEqual(['lab-1']);
    expect(ran.stdout).toContain(`\nbuild-id     ${symbols.buildId}\n`);
    expect(ran.stdout).toContain('\nSOURCE ');
    expect(ran.exit).toBe(exit);
  },
);

test('find shows on a terminal how far it is', async () => {
  const status = { state: SymbolsState.BUILDING, detail: 'fetching from \x1b[2Jcos', doneBytes: 9_437_184n };
  let asked = 0;
  const ran = await kcorder(
    'find lab-1',
    {
      listSymbols: async () => {
        asked += 1;
        return { symbols: [readyOf({ status: { ...status, totalBytes: 20_971_520n } })] };
      },
      findSymbols: async () => {
        await expect.poll(() => asked, { timeout: 5000 }).toBe(2);
        return { symbols: readyOf() };
      },
    },
    { columns: 120 },
  );
  expect(ran.stderr).toContain('\r\x1b[Klab-1: looking for symbols  0s');
  expect(ran.stderr).toContain('\r\x1b[Klab-1: fetching from \\x1b[2Jcos  9.0 MiB of 20.0 MiB  45%  ');
  expect(ran.stderr.endsWith('\r\x1b[K')).toBe(true);
});

const endless: NonNullable<Handlers['findSymbols']> = (_request, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Fault('canceled', 'the caller went away')));
  });

test('a search that takes too long is given up with exit code 124', async () => {
  const ran = await kcorder('find lab-1 --timeout 300ms', { findSymbols: endless });
  expect(ran.stderr).toMatch(
    /kcorder: the search for the symbols of node lab-1 has not ended within 300ms and was given up\. Give it longer with --timeout; `kcorder symbols get lab-1` shows how far it came\.\n$/,
  );
  expect(ran.exit).toBe(124);
});

test('an interrupted search ends with exit code 130', async () => {
  const interrupt = new AbortController();
  const findSymbols: typeof endless = (request, context) => {
    interrupt.abort();
    return endless(request, context);
  };
  const ran = await kcorder('find lab-1', { findSymbols }, { interrupt: interrupt.signal });
  expect(ran.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(ran.exit).toBe(130);
});

test('a node that the collector does not know ends the search in its words', async () => {
  const ran = await kcorder('find nope', {
    findSymbols: () => Promise.reject(new Fault('node_unknown', "no node named nope: see 'kcorder get nodes'")),
  });
  expect(ran.stderr).toBe("kcorder: no node named nope: see 'kcorder get nodes'.\n");
  expect(ran.exit).toBe(1);
});
