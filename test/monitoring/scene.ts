import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Watchtower } from '../../tools/stage/prometheus.ts';
import { writeImage } from '../faults/image.ts';
import { FaultRig, type RigOptions } from '../faults/rig.ts';
import { shortenedRules } from './shortened.ts';

/** A collector and an agent with a Prometheus and an Alertmanager that watch them. */
export interface Scene extends AsyncDisposable {
  readonly rig: FaultRig;
  readonly tower: Watchtower;
}

const seed = 4711;

/** Sets a scene up; `imageBytes` is about the size of the node's image. */
export async function openScene(options: Partial<RigOptions> & { readonly imageBytes?: number } = {}): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-scene-'));
  const imagePath = options.imagePath ?? writeImage(dir, seed, options.imageBytes ?? 4 << 20).path;
  const rig = await FaultRig.start({ ...options, imagePath });
  const jobs = [
    { job: 'kcorder-collector', targets: [rig.metrics.collector] },
    { job: 'kcorder-agent', targets: [rig.metrics.agent] },
  ];
  const tower = await Watchtower.start(join(dir, 'tower'), jobs, shortenedRules());
  return {
    rig,
    tower,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([tower[Symbol.asyncDispose](), rig[Symbol.asyncDispose]()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Names of the alerts that have been seen firing in Prometheus and active in Alertmanager since the first call. */
export const seen = new Set<string>();

/**
 * Waits until all of these alerts fire by Prometheus' word and are active in Alertmanager, each with all that an alert needs. The test's own time
 * limit is the only limit.
 */
export async function fires(tower: Watchtower, ...names: readonly string[]): Promise<void> {
  const missing = new Set(names);
  while (missing.size > 0) {
    const firing = await tower.firing();
    const active = await tower.active();
    for (const name of missing) {
      const mine = firing.find(({ labels }) => labels.alertname === name);
      if (mine === undefined || !active.some(({ labels, state }) => labels.alertname === name && state === 'active'))
        continue;
      const { summary, description, runbook_url: runbook } = mine.annotations;
      if (!mine.labels.severity || !summary || !description || !runbook?.includes(`docs/runbooks/${name}.md`))
        throw new Error(`${name} fires without all of its words: ${JSON.stringify(mine)}`);
      if (/<no value>|<error/.test(summary + description)) throw new Error(`${name}: ${summary} ${description}`);
      seen.add(name);
      missing.delete(name);
    }
    await sleep(500);
  }
}

/** Waits until an alert does not fire any more. */
export async function clears(tower: Watchtower, name: string): Promise<void> {
  while ((await tower.firing()).some(({ labels }) => labels.alertname === name)) await sleep(500);
}
