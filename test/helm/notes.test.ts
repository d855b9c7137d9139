import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chartDir, helm, renderObjects } from './chart.ts';
import { serveNamespace } from './namespace-server.ts';

/** What a person reads after an installation with this Helm into a namespace with these labels. */
async function notes(
  major: 3 | 4,
  labels: Record<string, string>,
  file = 'default-values.yaml',
  ...set: string[]
): Promise<string> {
  await using server = await serveNamespace('kcorder', labels, await renderObjects(file));
  const printed = await helm(
    major,
    ...['install', 'kcorder', chartDir, '--namespace', 'kcorder', '--values', join(chartDir, 'ci', file)],
    ...set.flatMap((each) => ['--set', each]),
    ...['--dry-run=server', '--disable-openapi-validation', '--kube-apiserver', server.url],
  );
  return printed.slice(printed.indexOf('\nNOTES:\n'));
}

describe.each([3, 4] as const)('Helm %i tells after an installation', (major) => {
  const label = 'kubectl label namespace kcorder pod-security.kubernetes.io/enforce=privileged --overwrite';

  test('the next three commands, and that nobody has a role', async () => {
    const text = await notes(major, {});
    expect(text.match(/^ {2}\S.*$/gm)).toEqual([
      '  kubectl --namespace kcorder rollout status statefulset/kcorder-collector daemonset/kcorder-agent',
      '  helm test kcorder --namespace kcorder',
      '  kcorder get nodes',
    ]);
    expect(text).toContain('Nobody has been given a role');
    expect(text).toContain('pulled from nowhere');
  });

  test.each(['baseline', 'restricted'])('the label to set where the namespace enforces %s', async (profile) => {
    const text = await notes(major, { 'pod-security.kubernetes.io/enforce': profile });
    expect(text).toContain(`"${profile}", which refuses the agents`);
    expect(text).toContain(`\n  ${label}\n`);
  });

  test('nothing of labels where agents are allowed, nor of roles and images where they are set', async () => {
    const text = await notes(major, { 'pod-security.kubernetes.io/enforce': 'privileged' }, 'everything-values.yaml');
    expect(text).toContain('rollout status statefulset/flight-recorder-collector');
    for (const absent of [label, 'Nobody', 'nowhere', 'principal:', 'webhooks']) expect(text).not.toContain(absent);
    expect(text).toContain('2 schedules from these values');
  });

  test('where evidence goes, and whom to give the rights where no Google account is named', async () => {
    const text = await notes(major, {}, 'bucket-values.yaml');
    expect(text).toContain('Evidence goes to the bucket example-evidence.');
    expect(text).toContain('\n  kcorder admin store-check\n');
    expect(text).toMatch(/^principal:.*\/subject\/ns\/kcorder\/sa\/kcorder-collector$/m);
    expect(text).not.toContain('schedule');
  });

  test('that webhooks cannot be reached where the policies say so', async () => {
    const closed = ['notifications.existingSecret=w', 'networkPolicy.apiServerTo[0].ipBlock.cidr=192.0.2.1/32'];
    expect(await notes(major, {}, 'default-values.yaml', ...closed)).toContain('set networkPolicy.webhooksTo');
  });

  test('that sources of symbols cannot be reached where the policies say so', async () => {
    const told = 'lets the collector out to sources of symbols (https://storage.googleapis.com/cos-tools)';
    expect(await notes(major, {})).toContain(told);
    const rule = 'networkPolicy.symbolSources[0].ports[0].port=443';
    for (const set of ['symbols.cosUrl=off', rule])
      expect(await notes(major, {}, 'default-values.yaml', set)).not.toContain('sources of symbols');
    expect(await notes(major, {}, 'bucket-values.yaml')).not.toContain('sources of symbols');
  });
});
