import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { say } from '../../setup/progress.ts';
import { LabCluster } from './cluster.ts';
import { launchCluster } from './launch.ts';
import { closeNamespace } from './namespace.ts';
import { type ClusterState, clusterFolder, findCluster } from './state.ts';

/** The one cluster that is driven by hand. */
const name = 'cluster';

/** `./dev cluster up|down|kubectl ARGS…|run CMD…`: exit code; that of the program for `kubectl` and `run`. */
export async function cluster([verb, ...args]: string[]): Promise<number> {
  const state = findCluster(clusterFolder(name));
  switch (verb) {
    case 'up':
      return await up(args);
    case 'down':
      if (!state) return notUp();
      await closeNamespace(state.namespace);
      say('the lab cluster is down');
      return 0;
    case 'kubectl':
      return state ? await show(state, ['kubectl', ...args]) : notUp();
    case 'run':
      if (args.length === 0) {
        say('./dev cluster: run needs a program: ./dev cluster run helm list');
        return 2;
      }
      return state ? await show(state, args) : notUp();
    default:
      say(
        `./dev cluster: ${verb === undefined ? 'say what to do' : `there is no "${verb}"`}: up, down, kubectl or run`,
      );
      return 2;
  }
}

async function up(args: string[]): Promise<number> {
  const startMs = performance.now();
  const canceled = new AbortController();
  process.once('SIGINT', () => canceled.abort(new Error('interrupted')));
  const { values } = parseArgs({ args, options: { image: { type: 'string', multiple: true } }, strict: true });
  const images = (values.image ?? []).map((path) => resolve(path));
  await launchCluster({ name, images, signal: canceled.signal }, { endsWithUs: false });
  say(`the lab cluster is up after ${((performance.now() - startMs) / 1000).toFixed(1)} s: node1 and node2 are Ready`);
  say('try: ./dev cluster kubectl apply -f tools/lab/cluster/demo-pods.yaml; down: ./dev cluster down');
  return 0;
}

async function show(state: ClusterState, [program = '', ...args]: string[]): Promise<number> {
  // a Ctrl-C in the terminal reaches the program too, whose end we then tell
  process.on('SIGINT', () => {});
  return await new LabCluster(state).show(program, args);
}

function notUp(): number {
  say('the lab cluster is not up: ./dev cluster up');
  return 1;
}
