import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Counters } from '../../agent/counters.ts';
import { agentRegistry } from '../../agent/metrics.ts';
import { everySeries } from '../../collector/testing/every-series.ts';
import { makeAuthority } from '../../tools/certificates.ts';
import { repoDir } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';
import { ensurePrometheus } from '../../tools/setup/prometheus.ts';
import { panelQueries, readDashboard } from './dashboard.ts';
import { type DescribedMetric, metricsOf, tableOf } from './exposition.ts';
import { alertsOf, dashboardPath, metricNames, readRules, recordedNames, rulesPath } from './rule-file.ts';

const rules = readRules();
const alerts = alertsOf(rules);
const runbooks = join(repoDir, 'docs/runbooks');
const testsOf = (alert: string): string => join(import.meta.dirname, 'rules', `${alert}.yaml`);
const doc = readFileSync(join(repoDir, 'docs/metrics.md'), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'kcorder-rules-'));
const exposed: Record<'collector' | 'agent', string> = { collector: '', agent: '' };
/** As Grafana writes it. */
const variable = (name: string): string => `$\{${name}}`;
let promtool: string;
let known: readonly DescribedMetric[];

beforeAll(async () => {
  promtool = (await ensurePrometheus()).promtool;
  const server = makeAuthority(join(dir, 'tls')).server();
  exposed.collector = await everySeries(server);
  exposed.agent = await agentRegistry({
    version: '0.1.0',
    counters: new Counters(),
    windowBytes: 1,
    certificate: () => server.certificate,
    refusals: () => [],
  }).metrics();
  known = [...metricsOf(exposed.collector), ...metricsOf(exposed.agent)];
});
afterAll(() => rmSync(dir, { recursive: true }));

test('promtool takes the rules', async () => {
  const count = [...rules.matchAll(/^ {6}- (alert|record): /gm)].length;
  expect(await command(promtool, ['check', 'rules', rulesPath])).toContain(`SUCCESS: ${count} rules found`);
});

describe.each(alerts)('$name', ({ name, text }) => {
  test('fires, clears, and lives over a restart of the collector', async () => {
    expect(await command(promtool, ['test', 'rules', testsOf(name)])).toContain('SUCCESS');
  });

  test('its tests are about it: it fires at one moment and does not at another', () => {
    const tested = readFileSync(testsOf(name), 'utf8');
    expect(tested).toContain(`alertname: ${name}`);
    expect(tested).toContain(`labels: 'ALERTS{alertname="${name}",alertstate="firing"`);
    if (name !== 'KcorderWatchdog') expect(tested).toContain('exp_samples: []');
    const about = [...tested.matchAll(/expr: ALERTS\{alertname="(\w+)"/g)].map(([, alert]) => alert);
    expect(new Set(about)).toEqual(new Set([name]));
  });

  test('says how grave it is, what it is about and what to do', () => {
    expect(text).toMatch(/^ {10}severity: (critical|warning|none)$/m);
    for (const key of ['summary', 'description']) expect(text).toMatch(new RegExp(`^ {10}${key}: \\S`, 'm'));
    expect(text).toContain(`\n          runbook_url: docs/runbooks/${name}.md\n`);
    const runbook = readFileSync(join(runbooks, `${name}.md`), 'utf8');
    expect(runbook).toMatch(new RegExp(`^# ${name}$`, 'm'));
    for (const part of ['What it means', 'What is at stake', '## Look at', '## Do', 'When to silence it'])
      expect(runbook).toContain(part);
    expect(runbook).toContain(`Severity: ${/severity: (\w+)/.exec(text)?.[1]}.`);
    expect(readFileSync(join(runbooks, 'README.md'), 'utf8')).toContain(`[${name}](${name}.md)`);
  });
});

test('there is no runbook and no test of an alert that is not there', () => {
  const names = alerts.map(({ name }) => name);
  const pages = readdirSync(runbooks).filter((file) => file !== 'README.md');
  expect(pages.map((file) => file.replace(/\.md$/, '')).toSorted()).toEqual(names.toSorted());
  const tests = readdirSync(join(import.meta.dirname, 'rules'));
  expect(tests.map((file) => file.replace(/\.yaml$/, '')).toSorted()).toEqual(names.toSorted());
});

test('the links in the runbooks lead somewhere', () => {
  for (const file of readdirSync(runbooks)) {
    const text = readFileSync(join(runbooks, file), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
    for (const target of links) expect(existsSync(join(runbooks, target)), `${file}: ${target}`).toBe(true);
  }
});

test.each(['collector', 'agent'] as const)(
  "promtool finds nothing wrong with the names of the %s's metrics",
  async (part) => {
    const ours = exposed[part].split('\n').filter((line) => /^(# (HELP|TYPE) )?kcorder_/.test(line));
    const path = join(dir, `${part}.prom`);
    writeFileSync(path, `${ours.join('\n')}\n`);
    expect(await command('bash', ['-c', `"$1" check metrics < "$2"`, 'bash', promtool, path])).toBe('');
  },
);

test.each(['collector', 'agent'] as const)('docs/metrics.md has every metric of the %s, as it is', (part) => {
  const table = doc.split(`<!-- series: ${part} -->\n`)[1]?.split('\n<!-- end -->')[0];
  expect(table).toBe(tableOf(metricsOf(exposed[part])));
});

test('docs/metrics.md has the metrics of the process', () => {
  const names = [...exposed.collector.matchAll(/^# HELP ((?:process|nodejs)_\S+)/gm)].map(([, name]) => `\`${name}\``);
  expect(names.filter((name) => !doc.includes(name))).toEqual([]);
});

test.each([
  ['the rules', () => rules],
  ['the tests of the rules', () => alerts.map(({ name }) => readFileSync(testsOf(name), 'utf8')).join('\n')],
  ['the dashboard', () => readFileSync(dashboardPath, 'utf8')],
  ['docs/metrics.md', () => doc],
  ['docs/operate.md', () => readFileSync(join(repoDir, 'docs/operate.md'), 'utf8')],
  ['docs/security-model.md', () => readFileSync(join(repoDir, 'docs/security-model.md'), 'utf8')],
])('every metric that is named in %s is there', (_, text) => {
  const there = new Set(known.map(({ name }) => name));
  const recorded = new Set([...rules.matchAll(/^ {6}- record: (\S+)$/gm)].map(([, name = '']) => name));
  // What belongs to a pattern is no name.
  expect(metricNames(text()).filter((name) => !there.has(name) && !name.endsWith('_'))).toEqual([]);
  expect(recordedNames(text()).filter((name) => !recorded.has(name))).toEqual([]);
});

describe('the dashboard', () => {
  const dashboard = readDashboard();
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');

  test('is one of Grafana 10 that asks for its data source, cluster and namespace', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
    expect(dashboard.templating.list.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'datasource datasource',
      'cluster query',
      'namespace query',
      'runbooks textbox',
    ]);
    const sources = panels.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((one) => one.datasource),
    ]);
    expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set([variable('datasource')]));
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  test.each(panels)(
    '$title: says what it shows, in which unit, from something',
    ({ description, fieldConfig, targets }) => {
      expect(description).toMatch(/\.$/);
      expect(fieldConfig?.defaults.unit).toMatch(/./);
      expect(targets?.length).toBeGreaterThan(0);
    },
  );

  test('no panel lies over another', () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });

  test('its links lead to runbooks that are there', () => {
    const urls = panels.flatMap(({ links = [] }) => links.map(({ url }) => url));
    expect(urls.length).toBeGreaterThan(15);
    for (const url of urls)
      expect(existsSync(join(runbooks, url.replace(`${variable('runbooks')}/`, ''))), url).toBe(true);
  });

  test('promtool takes every expression', async () => {
    const queries = panelQueries(dashboard);
    expect(queries.length).toBeGreaterThan(50);
    const path = join(dir, 'panels.yaml');
    const records = queries.map(
      ({ expr }, index) => `      - record: panel:${index}\n        expr: ${JSON.stringify(expr)}`,
    );
    writeFileSync(path, `groups:\n  - name: panels\n    rules:\n${records.join('\n')}\n`);
    expect(await command(promtool, ['check', 'rules', path])).toContain(`SUCCESS: ${queries.length} rules found`);
  });
});
