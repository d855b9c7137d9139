import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { policy } from '../../collector/api/policy.ts';
import type { ClusterStage } from '../../tools/stage/cluster-stage.ts';
import { Watchtower } from '../../tools/stage/prometheus.ts';
import { clears, fires } from '../monitoring/scene.ts';
import { shortenedRules } from '../monitoring/shortened.ts';
import { agentOn } from './agent-pod.ts';
import { callWith, createToken, exposition } from './calls.ts';
import { startRelay } from './relay.ts';

const alert = 'KcorderInventoryStale';

/** An API server that does not answer for a time: nobody may get in meanwhile, and the alert says so. */
export class Outage implements AsyncDisposable {
  readonly #stage: ClusterStage;
  readonly #tower: Watchtower;
  readonly #tokens: { readonly person: string; readonly agent: string };
  readonly #opened: AsyncDisposableStack;

  private constructor(
    stage: ClusterStage,
    tower: Watchtower,
    tokens: { readonly person: string; readonly agent: string },
    opened: AsyncDisposableStack,
  ) {
    this.#stage = stage;
    this.#tower = tower;
    this.#tokens = tokens;
    this.#opened = opened;
  }

  /** Gets what cannot be had while the API server stands still, and waits until the inventory is in step. */
  static async prepare(stage: ClusterStage): Promise<Outage> {
    const [pod, uid] = await agentOn(stage, 'node1');
    const bound = ['--bound-object-kind', 'Pod', '--bound-object-name', pod, '--bound-object-uid', uid];
    const tokens = {
      person: await createToken(stage, 'responder', ['--audience', 'kcorder']),
      agent: await createToken(stage, 'kcorder-agent', ['--audience', 'kcorder', ...bound]),
    };
    await using opened = new AsyncDisposableStack();
    const relay = opened.use(await startRelay(() => exposition(stage)));
    const target = { job: 'kcorder-collector', targets: [relay.address] };
    const folder = mkdtempSync(join(tmpdir(), 'kcorder-e2e-'));
    const tower = opened.use(await Watchtower.start(folder, [target], shortenedRules()));
    const inStep = async () => (await tower.query('kcorder_inventory_in_step_timestamp_seconds')).length;
    await expect.poll(inStep, { timeout: 240_000 }).toBe(1);
    return new Outage(stage, tower, tokens, opened.move());
  }

  /** Stops the API server, is refused by each method, sees the alert fire, lets it go on, and sees the alert clear. */
  async outlast(): Promise<void> {
    await this.#stage.cluster.run('pkill', ['-STOP', 'kube-apiserver']);
    try {
      const endings = await callWith(this.#stage, 'enrol', { ofAgent: this.#tokens.agent });
      expect(endings[0]?.code).toBe('cluster_unavailable');
      // Another token than before, since who was recognised is remembered for some seconds.
      const paths = ['GetCapture', 'DownloadEvidence', 'CreateCapture'].map(
        (name) => `/kcorder.v1.OperatorService/${name}`,
      );
      const calls = await callWith(this.#stage, 'every-method', { responder: this.#tokens.person }, paths);
      const wrong = calls.filter(({ path, code }) => policy[path]?.by === 'right' && code !== 'cluster_unavailable');
      expect(wrong).toEqual([]);
      await fires(this.#tower, alert);
    } finally {
      // With the whole command line: nsenter, by which it was started, stopped together with it.
      await this.#stage.cluster.run('pkill', ['-CONT', '-f', 'kube-apiserver']);
    }
    await clears(this.#tower, alert);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}
