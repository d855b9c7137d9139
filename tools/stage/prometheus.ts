import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../collector/testing/free-port.ts';
import { ensurePrometheus } from '../setup/prometheus.ts';

/** What is scraped under one job. */
export interface ScrapeJob {
  readonly job: string;
  /** host:port. */
  readonly targets: readonly string[];
}

/** An alert as Prometheus or Alertmanager has it. */
export interface SeenAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Of Prometheus: pending, firing. Of Alertmanager: active, suppressed, unprocessed. */
  readonly state: string;
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A real Prometheus and a real Alertmanager that look at each other and at the jobs every second. */
export class Watchtower implements AsyncDisposable {
  readonly prometheusUrl: string;
  readonly alertmanagerUrl: string;
  readonly #children: readonly ChildProcess[];

  readonly #configure: (jobs: readonly ScrapeJob[]) => void;

  private constructor(
    prometheusUrl: string,
    alertmanagerUrl: string,
    children: readonly ChildProcess[],
    configure: (jobs: readonly ScrapeJob[]) => void,
  ) {
    this.#configure = configure;
    this.prometheusUrl = prometheusUrl;
    this.alertmanagerUrl = alertmanagerUrl;
    this.#children = children;
  }

  /** Starts both below an empty directory; `rules` is the text of a rule file. Throws with their logs when one does not come up. */
  static async start(dir: string, jobs: readonly ScrapeJob[], rules: string): Promise<Watchtower> {
    const programs = await ensurePrometheus();
    mkdirSync(dir, { recursive: true });
    const [port, managerPort] = [await freePort(), await freePort()];
    writeFileSync(join(dir, 'rules.yaml'), rules);
    // JSON is YAML.
    writeFileSync(
      join(dir, 'alertmanager.yaml'),
      JSON.stringify({ route: { receiver: 'none' }, receivers: [{ name: 'none' }] }),
    );
    const config = (scraped: readonly ScrapeJob[]): void =>
      writeFileSync(
        join(dir, 'prometheus.yaml'),
        JSON.stringify({
          global: { scrape_interval: '1s', evaluation_interval: '1s' },
          rule_files: [join(dir, 'rules.yaml')],
          alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${managerPort}`] }] }] },
          scrape_configs: scraped.map(({ job, targets }) => ({ job_name: job, static_configs: [{ targets }] })),
        }),
      );
    config(jobs);
    const manager = start('unshare', join(dir, 'alertmanager.log'), [
      ...withShare(programs.share),
      programs.alertmanager,
      `--config.file=${join(dir, 'alertmanager.yaml')}`,
      `--storage.path=${join(dir, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${managerPort}`,
      '--cluster.listen-address=',
    ]);
    const prometheus = start(programs.prometheus, join(dir, 'prometheus.log'), [
      `--config.file=${join(dir, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(dir, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // An alert that fires before Alertmanager is discovered is told again soon.
      '--rules.alert.resend-delay=2s',
      '--web.enable-lifecycle',
      '--log.level=warn',
    ]);
    const tower = new Watchtower(
      `http://127.0.0.1:${port}`,
      `http://127.0.0.1:${managerPort}`,
      [prometheus, manager],
      config,
    );
    try {
      await ready(`${tower.prometheusUrl}/-/ready`, prometheus, join(dir, 'prometheus.log'));
      await ready(`${tower.alertmanagerUrl}/-/ready`, manager, join(dir, 'alertmanager.log'));
    } catch (error) {
      await tower[Symbol.asyncDispose]();
      throw error;
    }
    return tower;
  }

  /** Scrapes these from now on, and nothing else. */
  async scrape(jobs: readonly ScrapeJob[]): Promise<void> {
    this.#configure(jobs);
    const response = await fetch(`${this.prometheusUrl}/-/reload`, { method: 'POST' });
    if (!response.ok) throw new Error(`Prometheus did not take its new configuration: ${await response.text()}`);
  }

  /** The series that an expression has at this moment. Throws with Prometheus' words when it is none. */
  async query(expression: string): Promise<Series[]> {
    const query = new URLSearchParams({ query: expression });
    const response = await fetch(`${this.prometheusUrl}/api/v1/query?${query}`);
    const answer = (await response.json()) as {
      status: string;
      error?: string;
      data?: { resultType: string; result: Series[] };
    };
    if (answer.status !== 'success' || answer.data === undefined) throw new Error(`${expression}: ${answer.error}`);
    return answer.data.resultType === 'vector' ? answer.data.result : [];
  }

  /** Alerts that fire by Prometheus' word. */
  async firing(): Promise<SeenAlert[]> {
    const response = await fetch(`${this.prometheusUrl}/api/v1/alerts`);
    const { data } = (await response.json()) as { data: { alerts: SeenAlert[] } };
    return data.alerts.filter(({ state }) => state === 'firing');
  }

  /** Alerts that Alertmanager holds active. */
  async active(): Promise<SeenAlert[]> {
    const response = await fetch(`${this.alertmanagerUrl}/api/v2/alerts?active=true`);
    const alerts = (await response.json()) as (Omit<SeenAlert, 'state'> & { status: { state: string } })[];
    return alerts.map(({ status, ...alert }) => ({ ...alert, state: status.state }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  }
}

/** Arguments of unshare that lay a directory over /usr/share for one program alone. */
const withShare = (share: string): string[] => [
  '--mount',
  'sh',
  '-c',
  'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"',
  share,
];

function start(program: string, logPath: string, args: readonly string[]): ChildProcess {
  const log = openSync(logPath, 'a', 0o600);
  const child = spawn(program, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const killWithUs = (): boolean => child.kill('SIGKILL');
  process.on('exit', killWithUs);
  child.once('exit', () => process.off('exit', killWithUs));
  return child;
}

async function ready(url: string, child: ChildProcess, logPath: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline && child.exitCode === null) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok === true) return;
    await sleep(100);
  }
  throw new Error(`${url} is not ready: ${readFileSync(logPath, 'utf8').slice(-2000)}`);
}
