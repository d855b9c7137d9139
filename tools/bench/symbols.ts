import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { workerArguments } from '../../collector/symbols/build/builder.ts';
import { confineBy } from '../../collector/symbols/confine.ts';
import { SymbolSearch } from '../../collector/symbols/find.ts';
import { createDirectorySource } from '../../collector/symbols/sources/directory.ts';
import { listed } from '../../collector/symbols/testing/listed.ts';
import type { WorkerJob } from '../../isf/worker.ts';
import { ensureDwarf2json } from '../setup/dwarf2json.ts';
import { explain } from '../setup/failure.ts';
import { ensureKernel } from '../setup/kernel.ts';
import { say } from '../setup/progress.ts';
import { ensureVmlinux } from '../setup/vmlinux.ts';
import { bootBenchNode } from './lab-node.ts';
import { type MeasuredRun, measuredRun } from './measured-run.ts';
import { OurCollector } from './our-way.ts';
import { scratchDir } from './recorded-image.ts';
import { median, type Row, spread } from './row.ts';

const mebibyte = 1 << 20;
/** What the targets allow, where there is no peer that does the same. */
const aims = { btfSeconds: 1, cachedMs: 5 };

/** Building an ISF from a vmlinux, beside dwarf2json; the case is left out by name where dwarf2json cannot be had. */
export async function benchDwarf({ runs }: { runs: number }): Promise<Row[]> {
  const vmlinux = await ensureVmlinux(await ensureKernel('6.1'));
  const dwarf2json = await ensureDwarf2json().catch((error: unknown) => {
    say(`  symbols dwarf is left out: ${explain(error)}`);
    return undefined;
  });
  if (dwarf2json === undefined) return [];
  const scratch = scratchDir();
  try {
    const [ours, peer]: MeasuredRun[][] = [[], []];
    for (let index = 0; index < runs; index += 1) {
      const job = jobTo(vmlinux, join(scratch.path, `ours-${index}.json`));
      ours?.push(await measuredRun(workerArguments(job), join(scratch.path, 'ours.txt')));
      peer?.push(await measuredRun([dwarf2json, 'linux', '--elf', vmlinux], join(scratch.path, 'peer.json')));
    }
    const row = (what: string, unit: string, of: (run: MeasuredRun) => number, digits: number): Row => {
      const [mine, others] = [(ours ?? []).map(of), (peer ?? []).map(of)];
      const [a, b] = [median(mine), median(others)];
      const note = `ours ${spread(mine, digits)} ${unit}, dwarf2json 0.9.0 ${spread(others, digits)} ${unit}, ${runs} runs each in turn; whole processes`;
      return { bench: 'symbols', case: what, ours: a, peer: b, ratio: b / a, unit, note };
    };
    return [
      row('dwarf', 's', ({ seconds }) => seconds, 2),
      row('dwarf-memory', 'MiB', ({ peakRssBytes }) => peakRssBytes / mebibyte, 0),
    ];
  } finally {
    scratch.remove();
  }
}

const jobTo = (elfPath: string, outputPath: string): WorkerJob => ({
  kind: 'elf',
  elfPath,
  likeDwarf2json: false,
  banner: '',
  outputPath,
});

/** Building from what a running kernel tells, and how soon a new kernel's symbols are there after its node has attached. */
export async function benchBtf({ runs }: { runs: number }): Promise<Row[]> {
  const scratch = scratchDir();
  const collector = await OurCollector.start(scratch.path);
  const name = `bench-${process.pid}`;
  const node = await bootBenchNode(collector, name);
  try {
    const attached = performance.now();
    while ((await collector.node(name))?.symbols?.state !== SymbolsState.READY) await sleep(20);
    const ready = (performance.now() - attached) / 1000;
    const { captureId, beganMs } = await collector.order(name);
    await collector.ended(captureId);
    const captured = (performance.now() - beganMs) / 1000;
    const [btfPath, kallsymsPath] = [join(scratch.path, 'btf'), join(scratch.path, 'kallsyms')];
    await node.get('/sys/kernel/btf/vmlinux', btfPath);
    // As the agent sends it: without modules. The offset does not matter to the time.
    writeFileSync(kallsymsPath, await node.must("cat /proc/kallsyms | grep -v ']$'"));
    const times: number[] = [];
    for (let index = 0; index < runs; index += 1) {
      const outputPath = join(scratch.path, `btf-${index}.json`);
      const kernel = { banner: 'Linux version 6.1', release: (await node.must('uname -r')).trim() };
      const job: WorkerJob = { kind: 'types', btfPath, kallsymsPath, outputPath, ...kernel };
      times.push((await measuredRun(workerArguments(job), join(scratch.path, 'btf.txt'))).seconds);
    }
    const ours = median(times);
    const note = `${spread(times, 2)} s, whole process; peer: the aim`;
    return [
      { bench: 'symbols', case: 'btf', ours, peer: aims.btfSeconds, ratio: aims.btfSeconds / ours, unit: 's', note },
      {
        bench: 'symbols',
        case: 'btf-ready',
        ours: ready,
        peer: captured,
        ratio: captured / ready,
        unit: 's',
        note: 'from the first sight of the attached node to its symbols; peer: its first capture, from the order to its end',
      },
    ];
  } finally {
    await node.stop();
    await collector.stop();
    scratch.remove();
  }
}

/** A look-up of what is kept. */
export async function benchCached({ runs }: { runs: number }): Promise<Row[]> {
  const scratch = scratchDir();
  try {
    const directory = join(scratch.path, 'files');
    mkdirSync(directory);
    const banner = 'Linux version 6.1.0-bench';
    const constant_data = Buffer.from(`${banner}\n\0`).toString('base64');
    const symbols = { linux_banner: { address: 1, constant_data } };
    writeFileSync(join(directory, 'kernel.json'), JSON.stringify({ user_types: { a: {} }, symbols }));
    const search = await SymbolSearch.open({
      cacheDir: join(scratch.path, 'symbols'),
      cacheLimitBytes: mebibyte,
      firstDirectory: directory,
      sources: [listed('directory', createDirectorySource([directory]))],
      confine: confineBy('python3'),
    });
    const kernel = { buildId: 'ab'.repeat(20), banner, release: '6.1.0-bench', architecture: 'x86_64', cosBuildId: '' };
    const { signal } = new AbortController();
    await search.find(kernel, signal);
    const times: number[] = [];
    for (let index = 0; index < runs; index += 1) {
      const begin = performance.now();
      const { kind } = await search.find(kernel, signal);
      times.push(performance.now() - begin);
      if (kind !== 'ready') throw new Error(`the look-up ended as ${kind}`);
    }
    const ours = median(times);
    const note = `${spread(times, 2)} ms over ${runs} look-ups; peer: the aim`;
    return [
      { bench: 'symbols', case: 'cached', ours, peer: aims.cachedMs, ratio: aims.cachedMs / ours, unit: 'ms', note },
    ];
  } finally {
    scratch.remove();
  }
}
