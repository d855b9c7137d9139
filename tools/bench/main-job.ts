import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LabNode } from '../lab/node.ts';
import { command } from '../setup/command.ts';
import { ensureDwarf2json } from '../setup/dwarf2json.ts';
import { ensureKernel } from '../setup/kernel.ts';
import { ensureVmlinux } from '../setup/vmlinux.ts';
import { ensureVolatility } from '../setup/volatility.ts';
import { kcorder } from '../stage/command-line.ts';
import { avmlPath, bootBenchNode } from './lab-node.ts';
import { OurCollector } from './our-way.ts';
import { scratchDir } from './recorded-image.ts';
import { median, type Row, spread } from './row.ts';

const plugins = [
  'linux.pslist.PsList',
  'linux.pstree.PsTree',
  'linux.psaux.PsAux',
  'linux.sockstat.Sockstat',
  'linux.lsof.Lsof',
];

/** The node's disk has room for a dump of this, not for one of a whole GiB. */
const memoryMiB = 768;

/** One pass of the published method; seconds of each step. */
interface ByHand {
  readonly acquire: number;
  readonly copy: number;
  readonly symbols: number;
  readonly analyse: number;
}

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** From the request to the process table: `kcorder capture --wait` against AVML, copy, dwarf2json and vol by hand on the same node. */
export async function benchMainJob(options: { runs: number }): Promise<Row[]> {
  const scratch = scratchDir();
  const kernel = await ensureKernel('6.1');
  const vmlinux = await ensureVmlinux(kernel);
  const python = await ensureVolatility();
  const dwarf2json = await ensureDwarf2json();
  const collector = await OurCollector.start(scratch.path, { python });
  let node: LabNode | undefined;
  try {
    const name = `bench-${process.pid}`;
    node = await bootBenchNode(collector, name, memoryMiB);
    const context = { address: collector.process.address, tlsDir: collector.authority.operator('bench').dir };
    const ours: number[] = [];
    const hand: ByHand[] = [];
    for (let index = 0; index < options.runs; index += 1) {
      ours.push(await table(collector, context, name));
      hand.push(await byHand(node, { dwarf2json, vmlinux, python }, join(scratch.path, `hand-${index}`)));
    }
    const middle = (step: keyof ByHand): number => median(hand.map((pass) => pass[step]));
    const steps = `AVML to a file ${middle('acquire').toFixed(1)} s, copy ${middle('copy').toFixed(1)} s, dwarf2json ${middle('symbols').toFixed(1)} s, vol five times ${middle('analyse').toFixed(1)} s`;
    const all = hand.map(({ acquire, copy, symbols, analyse }) => acquire + copy + symbols + analyse);
    const without = hand.map(({ acquire, copy, analyse }) => acquire + copy + analyse);
    const row = (what: string, peers: readonly number[]): Row => ({
      bench: 'main-job',
      case: what,
      ours: median(ours),
      peer: median(peers),
      ratio: median(peers) / median(ours),
      unit: 's',
      note: `ours ${spread(ours, 1)} s with every plugin; by hand ${spread(peers, 1)} s: ${steps}`,
    });
    return [row('with-dwarf2json', all), row('symbols-ready', without)];
  } finally {
    await node?.stop();
    await collector.stop();
    scratch.remove();
  }
}

async function table(
  collector: OurCollector,
  context: { address: string; tlsDir: string },
  name: string,
): Promise<number> {
  while ((await collector.node(name))?.preflight?.refusals.length !== 0)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const begin = performance.now();
  const { exitCode, stdout, stderr } = await kcorder(context, ['capture', name, '--reason', 'bench', '--wait']);
  const taken = seconds(begin);
  if (exitCode !== 0 || !/python/.test(stdout))
    throw new Error(`kcorder capture ended with ${exitCode}:\n${stdout}\n${stderr}`);
  return taken;
}

async function byHand(
  node: LabNode,
  tools: { dwarf2json: string; vmlinux: string; python: string },
  dir: string,
): Promise<ByHand> {
  const symbolDir = join(dir, 'symbols', 'linux');
  mkdirSync(symbolDir, { recursive: true });
  const image = join(dir, 'memory.lime');
  let begin = performance.now();
  await node.must(`rm -f /root/memory.lime; ${avmlPath} acquire --source /proc/kcore /root/memory.lime`);
  const acquire = seconds(begin);
  begin = performance.now();
  await node.get('/root/memory.lime', image);
  const copy = seconds(begin);
  await node.must('rm /root/memory.lime');
  begin = performance.now();
  const stdoutPath = join(symbolDir, 'kernel.json');
  await command(tools.dwarf2json, ['linux', '--elf', tools.vmlinux], { stdoutPath });
  const symbols = seconds(begin);
  if (statSync(stdoutPath).size < 1_000_000) throw new Error('dwarf2json wrote nothing');
  begin = performance.now();
  const vol = join(dirname(tools.python), 'vol');
  // Its cache is cold at the first plugin and warm at the others, as in the method.
  const env = { XDG_CACHE_HOME: join(dir, 'cache') };
  for (const plugin of plugins) {
    const shown = await command(vol, ['-q', '--offline', '-s', join(dir, 'symbols'), '-f', image, plugin], { env });
    if (!shown.includes('python')) throw new Error(`vol ${plugin} does not show the script of the test pod`);
  }
  return { acquire, copy, symbols, analyse: seconds(begin) };
}
