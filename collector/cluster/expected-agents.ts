import type { AgentPods } from './agent-tokens.ts';
import { ask, type Cluster } from './client.ts';

const lookMs = 60_000;

/** How many agents the cluster wants, looked up once a minute: what is told may be as old. */
export class ExpectedAgents {
  readonly #cluster: Cluster;
  readonly #agents: AgentPods;
  readonly #failed: (error: unknown) => void;
  #count: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `failed` hears of each look that failed; the last answer stays. */
  constructor(cluster: Cluster, agents: AgentPods, failed: (error: unknown) => void) {
    this.#cluster = cluster;
    this.#agents = agents;
    this.#failed = failed;
  }

  /** Undefined before the first answer, and while there is no DaemonSet. */
  get count(): number | undefined {
    return this.#count;
  }

  start(): void {
    void this.look();
    this.#timer = setInterval(() => void this.look(), lookMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never throws. */
  async look(): Promise<void> {
    const { namespace, daemonSet: name } = this.#agents;
    try {
      const found = await ask(
        `get the DaemonSet ${namespace}/${name}`,
        this.#cluster.apps.readNamespacedDaemonSet({ namespace, name }),
      );
      this.#count = found?.status?.desiredNumberScheduled;
    } catch (error) {
      this.#failed(error);
    }
  }
}
