import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureImages } from '../images/build.ts';
import { type LabCluster, type ProgramOptions, type ProgramResult, startCluster } from '../lab/cluster/cluster.ts';
import { repoDir } from '../setup/cache.ts';
import { ensureHelm } from '../setup/helm.ts';

export const namespace = 'kcorder';
const chart = join(repoDir, 'helm/kcorder');
const labValues = join(import.meta.dirname, 'cluster-values.yaml');
const demoPods = join(import.meta.dirname, '../lab/cluster/demo-pods.yaml');
const entry = join(repoDir, 'cli/main.ts');

/** Service accounts that stand for people, by the role that they have; `stranger` has none. */
export const people = ['viewer', 'responder', 'analyst', 'admin', 'stranger'] as const;
export type PersonRole = (typeof people)[number];

/** The namespace, with the label that the agents need, and the accounts: one list, since each start of kubectl takes a processor that nodes need. */
const beginning = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
    },
    ...people.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })),
    // Finding pods needs Kubernetes' own right to list them, which the chart does not give.
    ...people
      .filter((role) => role !== 'stranger')
      .map((name) => ({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: `${name}-view` },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      })),
  ],
};

/** A lab cluster with kcorder's images, on which the chart can be installed as a user does it. */
export class ClusterStage {
  readonly cluster: LabCluster;
  readonly #helm: string;

  private constructor(cluster: LabCluster, helm: string) {
    this.cluster = cluster;
    this.#helm = helm;
  }

  /** Starts the cluster; the namespace has the label that the agents need, the demo's pods run, and nothing of kcorder yet. */
  static async open(options: { signal?: AbortSignal; helm?: 3 | 4 } = {}): Promise<ClusterStage> {
    const helm = await ensureHelm(options.helm ?? 3);
    const images = await ensureImages();
    const cluster = await startCluster({
      images: [images.agent.path, images.collector.path],
      // What is captured takes its time by the MiB.
      memoryMiB: 768,
      ...(options.signal && { signal: options.signal }),
    });
    const stage = new ClusterStage(cluster, helm);
    await cluster.must(['create', '-f', '-'], { stdin: JSON.stringify(beginning) });
    await cluster.must(['apply', '-f', demoPods]);
    return stage;
  }

  /** The key that the API server signs tokens with. */
  get signingKeyPath(): string {
    return join(this.cluster.state.folder, 'keys', 'service-accounts.key');
  }

  /** Runs Helm in the cluster; resolves with how it ended. */
  async helm(args: string[]): Promise<ProgramResult> {
    return await this.cluster.run(this.#helm, args);
  }

  /** Installs or upgrades the chart as the documentation says, with the lab's few values. */
  async install(args: string[] = []): Promise<void> {
    await this.#mustHelm(['upgrade', '--install', 'kcorder', chart, '-n', namespace, '-f', labValues, ...args]);
  }

  async uninstall(): Promise<void> {
    await this.#mustHelm(['uninstall', 'kcorder', '-n', namespace, '--wait']);
  }

  async #mustHelm(args: string[]): Promise<void> {
    const { exitCode, stdout, stderr } = await this.helm(args);
    if (exitCode !== 0) throw new Error(`helm ${args.join(' ')} ended with exit code ${exitCode}: ${stderr}${stdout}`);
  }

  /** Runs the command line in the cluster as somebody with a role. */
  async kcorder(args: string[], role: PersonRole = 'responder', options: ProgramOptions = {}): Promise<ProgramResult> {
    return await this.cluster.run(process.execPath, [entry, ...this.#as(role), ...args], options);
  }

  /** The same on this terminal. */
  async showKcorder(args: string[], role: PersonRole = 'responder', signal?: AbortSignal): Promise<number> {
    return await this.cluster.show(process.execPath, [entry, ...this.#as(role), ...args], {
      ...(signal && { signal }),
    });
  }

  #as(role: PersonRole): string[] {
    return ['--service-account', `${namespace}/${role}`];
  }

  /** Resolves when the agent of every named node is attached; throws with what there is when it takes longer. */
  async attached(nodes: readonly string[], limitMs = 400_000, signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + limitMs;
    let last = '';
    while (performance.now() < deadline) {
      const { stdout, stderr } = await this.kcorder(['get', 'nodes', '-o', 'json'], 'viewer');
      last = stdout + stderr;
      const online = onlineNodes(stdout);
      if (nodes.every((name) => online.includes(name))) return;
      // Not more often: each start of the command line takes a processor that the agents need to start.
      await sleep(2_000, undefined, { ...(signal && { signal }) });
    }
    const pods = await this.cluster.kubectl(['get', 'pods', '-A', '-o', 'wide']);
    const events = await this.cluster.kubectl(['get', 'events', '-n', namespace, '--sort-by=.lastTimestamp']);
    throw new Error(
      `the agents of ${nodes.join(', ')} did not attach within ${limitMs / 1000} s: ${last}\n${pods.stdout}\n${events.stdout}\n${await this.logs()}`,
    );
  }

  /** The last lines of collector and agents. */
  async logs(): Promise<string> {
    const of = async (component: string): Promise<string> => {
      const selector = `app.kubernetes.io/component=${component}`;
      const { stdout, stderr } = await this.cluster.kubectl([
        ...['logs', '-n', namespace, '-l', selector, '--prefix', '--tail=40'],
      ]);
      return `${component}:\n${stdout}${stderr}`;
    };
    return `${await of('collector')}\n${await of('agent')}`;
  }

  async close(): Promise<void> {
    await this.cluster.stop();
  }
}

function onlineNodes(json: string): string[] {
  try {
    const { nodes = [] } = JSON.parse(json) as { nodes?: { name: string; online?: boolean }[] };
    return nodes.filter(({ online }) => online === true).map(({ name }) => name);
  } catch {
    return [];
  }
}
