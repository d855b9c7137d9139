import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repoDir } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';
import { findProgram } from '../../tools/setup/environment.ts';
import { ensureHclfmt } from '../../tools/setup/hclfmt.ts';
import { argumentsOf, type Block, blocksOf, withoutComments } from './blocks.ts';

const folder = join(repoDir, 'deploy/terraform/gke');
// backend.tf is each user's own, and git ignores it
const files = readdirSync(folder).filter((name) => name.endsWith('.tf') && name !== 'backend.tf');
const text = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
const blocks = blocksOf(text);
const example = readFileSync(join(folder, 'terraform.tfvars.example'), 'utf8');

/** Whatever is new here makes something that costs money or grants a right: it belongs into a review. */
const allowed = [
  'google_artifact_registry_repository_iam_member',
  'google_compute_network',
  'google_compute_router',
  'google_compute_router_nat',
  'google_compute_subnetwork',
  'google_container_cluster',
  'google_container_node_pool',
  'google_kms_crypto_key_iam_member',
  'google_project_iam_audit_config',
  'google_project_iam_member',
  'google_project_service',
  'google_service_account',
  'google_storage_bucket',
  'google_storage_bucket_iam_member',
  'helm_release',
  'kubernetes_config_map_v1',
  'kubernetes_namespace_v1',
  'kubernetes_pod_v1',
  'kubernetes_storage_class_v1',
];

function only(type: string): Block {
  const found = blocks.filter((block) => block.kind === 'resource' && block.labels[0] === type);
  expect(found, `exactly one ${type}`).toHaveLength(1);
  return found[0] as Block;
}

function inner(block: Block, kind: string): Block {
  const found = blocksOf(block.body).filter((each) => each.kind === kind);
  expect(found, `exactly one ${kind}`).toHaveLength(1);
  return found[0] as Block;
}

const declared = (kind: string) => blocks.filter((block) => block.kind === kind).map((block) => block.labels[0] ?? '');
const used = (pattern: RegExp, from: string) => new Set([...from.matchAll(pattern)].map((match) => match[1] ?? ''));

describe('the form', () => {
  let hclfmt = '';
  let scratch = '';

  beforeAll(async () => {
    hclfmt = await ensureHclfmt();
    scratch = mkdtempSync(join(tmpdir(), 'kcorder-terraform-'));
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  const check = (path: string) => command(hclfmt, ['-check', '-require-no-change', path]);

  test.each([...files, 'terraform.tfvars.example'])('%s parses and is formatted', async (name) => {
    await check(join(folder, name));
  });

  test.each([
    ['a brace that is never closed', 'resource "a" "b" {\n'],
    ['an unformatted file', 'a=1\n'],
  ])('the check refuses %s', async (_sentence, content) => {
    const path = join(scratch, 'wrong.tf');
    writeFileSync(path, content);
    await expect(check(path)).rejects.toThrow('ended with exit code');
  });

  test.skipIf(!findProgram('terraform'))('terraform itself finds nothing to format', async () => {
    await command(findProgram('terraform') ?? '', ['fmt', '-check', '-recursive', '-diff', folder], {
      env: { CHECKPOINT_DISABLE: '1' },
    });
  });
});

describe('the whole', () => {
  test('every variable that is used is declared, and every declared one is used outside of its own validation', () => {
    const rest = files
      .filter((name) => name !== 'variables.tf')
      .map((name) => readFileSync(join(folder, name), 'utf8'));
    const names = declared('variable').sort();
    expect([...used(/\bvar\.([a-z_]+)/g, withoutComments(rest.join('\n')))].sort()).toEqual(names);
    for (const name of used(/\bvar\.([a-z_]+)/g, text)) expect(names).toContain(name);
  });

  test('the same of locals', () => {
    const names = blocks
      .filter((block) => block.kind === 'locals')
      .flatMap((block) => [...argumentsOf(block.body).keys()]);
    expect([...used(/\blocal\.([a-z_]+)/g, text)].sort()).toEqual(names.sort());
  });

  test('every resource and data source that is referred to exists', () => {
    const made = new Set(
      blocks
        .filter((block) => block.kind === 'resource' || block.kind === 'data')
        .map((block) => `${block.kind === 'data' ? 'data.' : ''}${block.labels.join('.')}`),
    );
    const referred = used(
      /(?<![."/\w-])((?:data\.)?(?:google|kubernetes|helm)_[a-z0-9_]+\.[a-z_]+)/g,
      withoutComments(text),
    );
    expect(referred.size).toBeGreaterThan(10);
    for (const name of referred) expect(made).toContain(name);
  });

  test('nothing is made but what is on the list, and nothing on the list is missing', () => {
    const types = new Set(blocks.filter((block) => block.kind === 'resource').map((block) => block.labels[0]));
    expect([...types].sort()).toEqual(allowed);
  });

  test.each(blocks.filter((block) => block.kind === 'variable').map((block) => [block.labels[0], block] as const))(
    'variable %s has a type and a description',
    (_name, block) => {
      expect([...argumentsOf(block.body).keys()]).toEqual(expect.arrayContaining(['description', 'type']));
    },
  );

  test('the example sets only variables that exist, and all that have no default', () => {
    const variables = blocks.filter((block) => block.kind === 'variable');
    const set = [...example.matchAll(/^(?:# )?([a-z_]+) +=/gm)].map((match) => match[1]);
    for (const name of set) expect(variables.map((block) => block.labels[0])).toContain(name);
    const required = variables
      .filter((block) => !argumentsOf(block.body).has('default'))
      .map((block) => block.labels[0]);
    expect(set).toEqual(expect.arrayContaining(required));
  });

  test('providers are pinned to a major version', () => {
    const versions = [
      ...inner(blocks.find((block) => block.kind === 'terraform') as Block, 'required_providers').body.matchAll(
        /version = "([^"]+)"/g,
      ),
    ];
    expect(versions).toHaveLength(3);
    for (const [, version] of versions) expect(version).toMatch(/^~> \d+\.\d+$/);
  });
});

describe('what must not get lost', () => {
  test('the evidence bucket is private, kept, and neither forced nor destroyed', () => {
    const bucket = only('google_storage_bucket');
    const set = argumentsOf(bucket.body);
    expect(set.get('uniform_bucket_level_access')).toBe('true');
    expect(set.get('public_access_prevention')).toBe('"enforced"');
    expect(set.get('force_destroy')).toBe('false');
    expect(argumentsOf(inner(bucket, 'retention_policy').body).get('is_locked')).toBe('var.evidence_retention_locked');
    expect(argumentsOf(inner(bucket, 'lifecycle').body).get('prevent_destroy')).toBe('true');
    // a rule that deletes objects would need an action "Delete"
    expect(bucket.body).not.toContain('"Delete"');
    // which Cloud Storage refuses beside a retention policy
    expect(argumentsOf(inner(bucket, 'versioning').body).get('enabled')).toBe('false');
  });

  test('the collector may use objects and look at the bucket, nothing else, and delete only where that is wanted', () => {
    const grant = only('google_storage_bucket_iam_member');
    expect(argumentsOf(grant.body).get('for_each')).toBe(
      'toset(concat(local.collector_object_roles, ["roles/storage.bucketViewer"]))',
    );
    expect(text).toContain(
      'collector_object_roles = var.evidence_deletion ? ["roles/storage.objectUser"] : ["roles/storage.objectCreator", "roles/storage.objectViewer"]',
    );
    expect(argumentsOf(grant.body).get('bucket')).toBe('google_storage_bucket.evidence.name');
    expect(argumentsOf(grant.body).get('member')).toBe('local.collector');
    expect(text).toMatch(/subject\/ns\/\$\{local\.namespace\}\/sa\/\$\{local\.collector_service_account\}/);
    expect(text).toMatch(/collector_service_account = "kcorder-collector"/);
  });

  test('evidence goes to the bucket that is kept', () => {
    expect(text).toMatch(/store = \{ kind = "gcs", gcs = \{ bucket = google_storage_bucket\.evidence\.name \} \}/);
  });

  test('nobody is given a right that covers everything', () => {
    for (const role of used(/"(roles\/[^"]+)"/g, text))
      expect(role).not.toMatch(/^roles\/(owner|editor|viewer)$|[aA]dmin/);
    expect(text).not.toMatch(/allUsers|allAuthenticatedUsers/);
  });

  test('nodes are private and shielded, run by their own account, and hide it from pods', () => {
    const pool = only('google_container_node_pool');
    expect(argumentsOf(inner(pool, 'network_config').body).get('enable_private_nodes')).toBe('true');
    const node = inner(pool, 'node_config');
    expect(argumentsOf(node.body).get('service_account')).toBe('google_service_account.nodes.email');
    expect(argumentsOf(inner(node, 'shielded_instance_config').body).get('enable_integrity_monitoring')).toBe('true');
    expect(argumentsOf(inner(node, 'workload_metadata_config').body).get('mode')).toBe('"GKE_METADATA"');
  });

  test('the cluster is private, enforces NetworkPolicies, and is not Autopilot', () => {
    const cluster = only('google_container_cluster');
    const set = argumentsOf(cluster.body);
    expect(argumentsOf(inner(cluster, 'private_cluster_config').body).get('enable_private_nodes')).toBe('true');
    expect(set.get('datapath_provider')).toBe('"ADVANCED_DATAPATH"');
    expect(set.get('enable_shielded_nodes')).toBe('true');
    expect(set.has('enable_autopilot')).toBe(false);
    inner(cluster, 'master_authorized_networks_config');
    inner(cluster, 'workload_identity_config');
  });

  test('the namespace of the agent admits privileged pods and is not destroyed with its volume', () => {
    const namespace = only('kubernetes_namespace_v1');
    expect(namespace.body).toContain('"pod-security.kubernetes.io/enforce" = "privileged"');
    expect(argumentsOf(inner(namespace, 'lifecycle').body).get('prevent_destroy')).toBe('true');
    expect(argumentsOf(only('kubernetes_storage_class_v1').body).get('reclaim_policy')).toBe('"Retain"');
  });

  test('no access token gets into the state', () => {
    expect(withoutComments(text)).not.toMatch(
      /google_client_config|access_token|google_service_account_key|kubernetes_secret/,
    );
  });

  test('git ignores state and values', () => {
    const ignored = readFileSync(join(folder, '.gitignore'), 'utf8').split('\n');
    expect(ignored).toEqual(
      expect.arrayContaining(['.terraform/', '*.tfstate', '*.tfstate.*', '*.tfvars', '*.tfplan']),
    );
  });

  test('the test pod runs the script that the lab runs', () => {
    const script = (path: string) => readFileSync(join(repoDir, path), 'utf8');
    expect(script('deploy/terraform/gke/beacon.py')).toBe(script('tools/lab/guest/beacon.py'));
  });
});
