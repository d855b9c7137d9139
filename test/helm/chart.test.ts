import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { command } from '../../tools/setup/command.ts';
import { ensureHelmDocs } from '../../tools/setup/helm.ts';
import { ensureKubeconform } from '../../tools/setup/kubeconform.ts';
import { chartDir, helm, render, valuesFiles } from './chart.ts';
import { ensureKubernetesSchemas } from './kubernetes-schemas.ts';

/** What kubeconform says of manifests that it takes. Throws with its words if it refuses one. */
async function conform(manifests: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'kcorder-manifests-'));
  const schemas = '{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json';
  const words = join(folder, 'words');
  try {
    writeFileSync(join(folder, 'all.yaml'), manifests);
    const args = [
      ...['-strict', '-summary', '-output', 'json'],
      ...['-schema-location', join(await ensureKubernetesSchemas(), schemas)],
      ...['-schema-location', join(import.meta.dirname, 'custom-resources', schemas)],
    ];
    await command(await ensureKubeconform(), [...args, join(folder, 'all.yaml')], { stdoutPath: words });
    return readFileSync(words, 'utf8');
  } catch (cause) {
    throw new Error(`kubeconform refuses:\n${readFileSync(words, 'utf8')}`, { cause });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each(valuesFiles)('with %s', (valuesFile) => {
  test('both Helms find nothing to complain of', async () => {
    for (const major of [3, 4] as const)
      await helm(major, 'lint', '--strict', '--quiet', '--values', join(chartDir, 'ci', valuesFile), chartDir);
  });

  test('both Helms make the same, and Kubernetes knows every field of it', async () => {
    const [three, four] = await Promise.all([render(3, valuesFile), render(4, valuesFile)]);
    // Helm 4 leaves a blank line after each document.
    expect(four.replaceAll(/\n+---\n/g, '\n---\n').trim()).toBe(three.replaceAll(/\n+---\n/g, '\n---\n').trim());
    const { summary } = JSON.parse(await conform(three)) as { summary: Record<string, number> };
    expect(summary).toMatchObject({ invalid: 0, errors: 0, skipped: 0 });
    expect(summary.valid).toBeGreaterThan(20);
  });
});

test('a field that Kubernetes does not know is noticed', async () => {
  const manifests = await render(3, 'default-values.yaml');
  await expect(conform(manifests.replace('hostPath:', 'hostPaht:'))).rejects.toThrow(/hostPaht/);
  await expect(conform(manifests.replace('imagePullPolicy: IfNotPresent', 'imagePullPolicy: 1'))).rejects.toThrow(
    /imagePullPolicy/,
  );
});

describe('a wrong value is refused with its place', () => {
  test.each([
    ['agent.mod=privileged', /at '\/agent': additional properties 'mod' not allowed/],
    ['agents.mode=privileged', /additional properties 'agents' not allowed/],
    ['collector.image.digset=x', /at '\/collector\/image': additional properties 'digset' not allowed/],
    ['rbac.bindings[0].role=root', /at '\/rbac\/bindings\/0\/role': value must be one of 'viewer'/],
    ['networkPolicy.apiFrom[0].podSelektor.a=b', /at '\/networkPolicy\/apiFrom\/0'.*'podSelektor' not allowed/],
    ['agent.mode=safe', /at '\/agent\/mode': value must be one of 'leastPrivilege', 'privileged'/],
    ['tls.mode=none', /at '\/tls\/mode': value must be one of/],
    ['approval=false', /at '\/approval': got boolean, want string/],
    ['agent.image.digest=sha256:12', /at '\/agent\/image\/digest': 'sha256:12' does not match pattern/],
    ['agent.avmlSha256=12', /at '\/agent\/avmlSha256'/],
    ['maxCaptures=0', /at '\/maxCaptures': minimum/],
    ['collector.reserveMiB=-1', /at '\/collector\/reserveMiB': minimum/],
    ['symbols.buckets[0]=http://plain.example', /at '\/symbols\/buckets\/0'/],
    ['collector.pdb.maxUnavailable=2', /at '\/collector\/pdb\/maxUnavailable'/],
    ['tls.mode=existingSecret', /tls\.existingSecret: tls\.mode is existingSecret, so name a Secret/],
    ['tls.mode=certManager', /tls\.certManager\.issuerRef\.name: tls\.mode is certManager, so name an issuer/],
    [
      'metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true',
      /metrics: serviceMonitor and podMonitor are both enabled/,
    ],
    ['store.kind=s3', /at '\/store\/kind': value must be one of 'local', 'gcs'/],
    ['store.kind=gcs', /store\.gcs\.bucket: store\.kind is gcs, so name a bucket/],
    ['store.gcs.bucket=gs://name', /at '\/store\/gcs\/bucket': 'gs:\/\/name' does not match pattern/],
    ['store.gcs.prefix=/a/', /at '\/store\/gcs\/prefix'/],
    ['store.gcs.kmsKey=mine', /at '\/store\/gcs\/kmsKey'/],
    ['store.gcs.endpoint=http://plain.example', /at '\/store\/gcs\/endpoint'/],
    ['store.gcs.credentials=secret', /at '\/store\/gcs': additional properties 'credentials' not allowed/],
    ['store.quotaGiB=-1', /at '\/store\/quotaGiB': minimum/],
    ['store.retentionDays=1.5', /at '\/store\/retentionDays': got string, want integer/],
    ['notifications.url=https://hook.example', /at '\/notifications': additional properties 'url' not allowed/],
    ['schedules[0].name=a', /at '\/schedules\/0': missing property 'cron'/],
    ['schedules[0].name=A b,schedules[0].cron=@daily', /at '\/schedules\/0\/name': 'A b' does not match pattern/],
    ['schedules[0].name=a,schedules[0].cron=daily', /at '\/schedules\/0\/cron': 'daily' does not match pattern/],
    ['schedules[0].name=a,schedules[0].cron=0 6 * *', /at '\/schedules\/0\/cron'/],
    [
      'schedules[0].name=a,schedules[0].cron=@daily,schedules[0].timezone=UTC',
      /at '\/schedules\/0': additional properties 'timezone' not allowed/,
    ],
    [
      'schedules[0].name=a,schedules[0].cron=@daily,schedules[0].target.nodes[0]=n',
      /at '\/schedules\/0\/target': additional properties 'nodes' not allowed/,
    ],
    [
      'schedules[0].name=a,schedules[0].cron=@daily,schedules[0].retention.ttl=30 days',
      /at '\/schedules\/0\/retention\/ttl': '30 days' does not match pattern/,
    ],
    [
      'schedules[0].name=a,schedules[0].cron=@daily,schedules[0].jitter=30',
      /at '\/schedules\/0\/jitter': got number, want string/,
    ],
    [
      'schedules[0].name=a,schedules[0].cron=@daily,schedules[1].name=a,schedules[1].cron=@hourly',
      /schedules: two are called a; give each a name of its own/,
    ],
    [
      'metrics.rules.enabled=true,metrics.rules.disabled[0]=KcorderNotThere',
      /metrics\.rules\.disabled: there is no alert KcorderNotThere; there are /,
    ],
    ['rbac.bindings[0].role=viewer', /at '\/rbac\/bindings\/0': missing property 'subjects'/],
    [
      'rbac.bindings[0].role=viewer,rbac.bindings[0].subjects[0].kind=ServiceAccount,rbac.bindings[0].subjects[0].name=bot',
      /the service account bot has no namespace/,
    ],
  ])('%s', async (set, message) => {
    await expect(render(3, 'default-values.yaml', set)).rejects.toThrow(message);
    await expect(render(4, 'default-values.yaml', set)).rejects.toThrow(message);
  });
});

test('README.md is what helm-docs makes of values.yaml and README.md.gotmpl', async () => {
  const text = await command(await ensureHelmDocs(), ['--dry-run', '--chart-search-root', chartDir]);
  await expect(text).toMatchFileSnapshot(join(chartDir, 'README.md'));
});

test('the script of helm test is a module that Node can read', async () => {
  const script = readFileSync(join(chartDir, 'files/reach-collector.mjs'), 'utf8');
  expect(await render(3, 'default-values.yaml')).toContain("import { connect } from 'node:tls';");
  await command(process.execPath, ['--check', join(chartDir, 'files/reach-collector.mjs')]);
  expect(script).not.toContain('rejectUnauthorized');
});
