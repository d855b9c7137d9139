import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cachePath } from './setup/cache.ts';
import { say } from './setup/progress.ts';
import { type Context, kcorder, showKcorder } from './stage/command-line.ts';
import { Stage } from './stage/stage.ts';

const contextPath = cachePath('demo', 'context.json');
/** A file of the demo as somebody in the project's folder would name it. */
const shownPath = (name: string): string => relative(process.cwd(), cachePath('demo', name));
const attachLimitMs = 60_000;

/** Runs the main job on a lab node and shows it. Exit code of `kcorder capture`. */
export async function demo(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'string') {
    say(
      `./dev demo: ${options}; there are --keep, which leaves everything up until Ctrl-C, --cluster, and --symbols btf|dwarf`,
    );
    return 2;
  }
  if (options.cluster) return await (await import('./demo-cluster.ts')).demoCluster(options.keep);
  if (existsSync(contextPath) && (await kcorder(readContext(), ['version'])).exitCode === 0) {
    say('a demo is up already: end it there with Ctrl-C, or use it with ./dev kcorder');
    return 1;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const stage = await Stage.open(cachePath('demo'), { symbols: options.symbols });
  try {
    writeFileSync(contextPath, JSON.stringify(stage.context));
    say('booting lab-1: a virtual machine with a kernel of its own, three pods, and the agent in the third');
    await stage.boot({ name: 'lab-1', pods: true, signal: interrupted.signal });
    await attached(stage.context, 'lab-1', interrupted.signal);
    say('$ kcorder capture lab-1 --reason "demo" --wait');
    const exitCode = await showKcorder(stage.context, ['capture', 'lab-1', '--reason', 'demo', '--wait']);
    interrupted.signal.throwIfAborted();
    sayNext(options.keep);
    if (options.keep) await once(interrupted.signal, 'abort');
    return exitCode;
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    throw error;
  } finally {
    rmSync(contextPath, { force: true });
    await stage.close();
    say(`everything is down; what was captured stays below ${shownPath('data')} until the next demo`);
  }
}

interface DemoOptions {
  readonly keep: boolean;
  /** On a Kubernetes cluster of its own, installed with Helm. */
  readonly cluster: boolean;
  /** `btf`: what the node's own kernel tells; `dwarf`: Debian's package with the kernel's debugging information, 283 MB to fetch. */
  readonly symbols: 'btf' | 'dwarf';
}

function readOptions(args: readonly string[]): DemoOptions | string {
  const left = [...args];
  let options: DemoOptions = { keep: false, cluster: false, symbols: 'btf' };
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    const [name, given] = arg.split('=', 2);
    if (arg === '--keep') options = { ...options, keep: true };
    else if (arg === '--cluster') options = { ...options, cluster: true };
    else if (name === '--symbols') {
      const symbols = given ?? left.shift();
      if (symbols !== 'btf' && symbols !== 'dwarf') return '--symbols takes btf or dwarf';
      options = { ...options, symbols };
    } else return `${arg} is unknown`;
  }
  return options;
}

/** The command line against the demo that is up, or with what the caller has set. */
export async function runKcorder(args: readonly string[]): Promise<number> {
  const { KCORDER_COLLECTOR, KCORDER_TLS_DIR } = process.env;
  if (KCORDER_COLLECTOR !== undefined && KCORDER_TLS_DIR !== undefined) {
    return await showKcorder({ address: KCORDER_COLLECTOR, tlsDir: KCORDER_TLS_DIR }, args);
  }
  if (existsSync(contextPath)) return await showKcorder(readContext(), args);
  if (args.length === 0 || args.includes('--help') || args.includes('-h'))
    return await showKcorder({ address: '', tlsDir: '' }, args);
  say('no demo is up: start one with ./dev demo --keep, or set KCORDER_COLLECTOR and KCORDER_TLS_DIR');
  return 1;
}

const readContext = (): Context => JSON.parse(readFileSync(contextPath, 'utf8')) as Context;

async function attached(context: Context, node: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + attachLimitMs;
  while (performance.now() < deadline) {
    const { stdout } = await kcorder(context, ['get', 'nodes', node, '-o', 'json']);
    if (stdout.includes('"online": true')) return;
    await sleep(200, undefined, { signal });
  }
  throw new Error(
    `the agent of ${node} did not attach within ${attachLimitMs / 1000} s: see ${shownPath('collector.log')}`,
  );
}

function sayNext(keep: boolean): void {
  const lines = [
    './dev kcorder get captures',
    './dev kcorder symbols get lab-1',
    './dev kcorder ps lab-1 -o wide',
    './dev kcorder ps lab-1 --plugin linux.lsmod.Lsmod',
    "./dev kcorder get sockets lab-1 --filter 'state = LISTEN'",
  ];
  say('');
  say(
    keep
      ? 'It is up until Ctrl-C. In another terminal:'
      : 'Next, leave it up with ./dev demo --keep, and in another terminal:',
  );
  for (const line of lines) say(`  ${line}`);
}
