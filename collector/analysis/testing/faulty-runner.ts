// Speaks the runner's protocol and misbehaves on demand: in a plugin as its name says, before the first as the node's banner says.
import { spawn } from 'node:child_process';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import type { RunnerJob } from '../protocol.ts';

const job = JSON.parse(await text(process.stdin)) as RunnerJob;
const print = (line: object): void => printText(`${JSON.stringify(line)}\n`);
const rows = (plugin: string, cells: unknown[][], columns = ['value']): void =>
  print({ type: 'rows', plugin, columns, rows: cells });
const hang = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
const leave = (): never => process.exit(0);

const beforeKernel: Record<string, () => void> = {
  'is confined in part': () => {
    if (!job.mustBeConfined) return;
    print({
      type: 'fatal',
      reason: 'unconfined',
      detail: 'This machine confines an analysis without Landlock, not in full.',
    });
    process.exit(3);
  },
  'tells its confinement twice': () => print(confined),
  'says fatal': () => {
    print({ type: 'fatal', reason: 'symbols_mismatch', detail: 'The symbols are of another kernel.' });
    process.exit(3);
  },
  'lacks a module': () => {
    print({ type: 'fatal', reason: 'crashed', detail: "ModuleNotFoundError: No module named 'volatility3'" });
    process.exit(3);
  },
  hangs: hang,
  'dies by a signal': () => process.kill(process.pid, 'SIGSEGV') && hang(),
  'ends silently': leave,
  'prints rubbish': () => printText('Progress: 100.00\n'),
  // The lines are what the node told of its kernel.
  'prints what it is told': () => {
    printText(job.kernel.vmcoreinfo, 'utf8');
    leave();
  },
  'runs a plugin at once': () => print({ type: 'plugin', plugin: job.plugins[0]?.name, state: 'started' }),
};

const inPlugin: Record<string, (plugin: string) => void> = {
  hang,
  segv: () => process.kill(process.pid, 'SIGSEGV') && hang(),
  quit: leave,
  crash: () => process.exit(1),
  garbage: () => printText('{"type":"rows","plugin":\n'),
  binary: () => printText(`${String.fromCharCode(0, 255, 254)}\n`),
  unknown_line: () => print({ type: 'progress', percent: 5 }),
  // 200,000 arrays, one in the other: to print them again takes more stack than there is.
  deep: (plugin) =>
    printText(
      `{"type":"rows","plugin":"${plugin}","columns":["value"],"rows":[[${'['.repeat(200_000)}${']'.repeat(200_000)}]]}\n`,
    ),
  deep_type: () => printText(`{"type":${'['.repeat(200_000)}${']'.repeat(200_000)}}\n`),
  nested: (plugin) => rows(plugin, [[{}]]),
  no_columns: (plugin) => rows(plugin, [[], []], []),
  many_rows: (plugin) =>
    rows(
      plugin,
      Array.from({ length: 1_001 }, () => [0]),
    ),
  hiddenModules: (plugin) => {
    const name = 'x'.repeat(1_000);
    for (let batch = 0; batch < 10; batch += 1)
      rows(
        plugin,
        Array.from({ length: 500 }, (_, index) => [`${batch * 500 + index} ${name}`]),
      );
    end(plugin, 'rows', 5_000);
  },
  ragged: (plugin) => rows(plugin, [[1, 2]]),
  other_rows: () => rows('good', [[1]]),
  new_columns: (plugin) => {
    rows(plugin, [[1]]);
    rows(plugin, [[1]], ['other']);
  },
  lost_rows: (plugin) => end(plugin, 'rows', 7),
  false_empty: (plugin) => {
    rows(plugin, [[1]]);
    end(plugin, 'empty', 0);
  },
  starts_other: () => print({ type: 'plugin', plugin: 'after', state: 'started' }),
  unsupported: (plugin) =>
    print({
      ...{ type: 'plugin', plugin, state: 'unsupported', rows: 0, seconds: 0 },
      reason: "the kernel's symbols have no prog_idr",
    }),
  partial_failure: (plugin) => {
    rows(plugin, [[1]]);
    print({ type: 'plugin', plugin, state: 'failed', rows: 1, seconds: 0.1, reason: 'out_of_memory' });
  },
  flood: (plugin) => {
    for (;;)
      rows(
        plugin,
        Array.from({ length: 500 }, () => ['x'.repeat(100)]),
      );
  },
  endless_line: () => {
    for (;;) printText('x'.repeat(65_536));
  },
  allocate: () => {
    const held = [];
    for (;;) held.push(Buffer.alloc(16 << 20, held.length + 1));
  },
  children: (plugin) => {
    const asleep = (detached: boolean) =>
      spawn('sleep', ['1000'], { detached, stdio: ['ignore', 'inherit', 'ignore'] }).pid;
    process.stderr.write(`children ${asleep(false)} ${asleep(true)}\n`);
    rows(plugin, [[0]]);
    hang();
  },
  done_early: () => {
    done();
    leave();
  },
  nothing: (plugin) => end(plugin, 'empty', 0),
  surroundings: (plugin) => {
    const first = readFileSync('/proc/self/oom_score_adj', 'latin1').trim();
    rows(plugin, [
      [Object.keys(process.env).join()],
      [Object.keys(networkInterfaces()).join()],
      [process.cwd()],
      [first],
    ]);
    end(plugin, 'rows', 4);
  },
  reads_begin: (plugin) => rowsOfImage(plugin, 0),
  reads_end: (plugin) => rowsOfImage(plugin, 1 << 20),
  stderr: (plugin) => {
    process.stderr.write('a warning of the runner\n'.repeat(10_000));
    end(plugin, 'empty', 0);
  },
};

process.stderr.write(`pid ${process.pid}\n`);
const inPart = job.kernel.banner === 'is confined in part';
const confined = { type: 'confined', level: inPart ? 'partial' : 'full', landlockAbi: inPart ? 0 : 7, seccomp: true };
if (job.kernel.banner === 'is killed as it confines itself') process.kill(process.pid, 'SIGSYS') && hang();
if (job.kernel.banner !== 'tells no confinement' && job.kernel.banner !== 'prints what it is told') print(confined);
beforeKernel[job.kernel.banner ?? '']?.();
const imageBuildId = 'ab'.repeat(20);
const otherBuild = job.kernel.buildId !== null && job.kernel.buildId !== imageBuildId;
const kernelMismatch = otherBuild || job.kernel.banner !== 'banner of the image';
print({
  type: 'kernel',
  imageBanner: 'banner of the image',
  imageBuildId,
  kernelMismatch,
  pagingLevels: 4,
  kernelOffset: '0x0',
  dtb: '0x1',
});
for (const { name: plugin } of job.plugins) {
  print({ type: 'plugin', plugin, state: 'started' });
  const misbehave = inPlugin[plugin];
  if (misbehave !== undefined) {
    misbehave(plugin);
    continue;
  }
  rows(plugin, [[process.pid], ['two']]);
  end(plugin, 'rows', 2);
}
done();

function end(plugin: string, state: string, count: number): void {
  print({ type: 'plugin', plugin, state, rows: count, seconds: 0.25, warnings: ['one page was not there'] });
}

/** 64 bytes of an image of kind "ranges"; the reader of a broken channel calls them empty, as a plugin does that catches everything. */
function rowsOfImage(plugin: string, offset: number): void {
  const request = Buffer.alloc(12);
  request.writeUInt32LE(offset, 0);
  request.writeUInt32LE(64, 8);
  const data = Buffer.alloc(64);
  try {
    writeSync(3, request);
    for (let filled = 0; filled < data.length; ) {
      const count = readSync(3, data, filled, data.length - filled, null);
      if (count === 0) throw new Error('the channel is closed');
      filled += count;
    }
    rows(plugin, [[data.toString('hex')]]);
    end(plugin, 'rows', 1);
  } catch {
    end(plugin, 'empty', 0);
  }
}

function done(): void {
  print({ type: 'done', versions: { volatility: '2.28.2', python: '3.11.2' } });
}

// Written at once, as a crash would otherwise take back what was printed before it.
function printText(content: string, encoding: BufferEncoding = 'latin1'): void {
  let rest = Buffer.from(content, encoding);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}
