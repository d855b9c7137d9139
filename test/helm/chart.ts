import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoDir } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';
import { ensureHelm, type HelmMajor } from '../../tools/setup/helm.ts';

export const chartDir = join(repoDir, 'helm/kcorder');

/** The values that the chart is tried with: every file of its ci folder. */
export const valuesFiles = readdirSync(join(chartDir, 'ci')).sort();

/** A value as YAML has it. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** A rendered object; what is deeper is read with `at`. */
export interface ClusterObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly [key: string]: Value };
  readonly [key: string]: Value;
}

/** Runs Helm; throws with its words if it refuses. */
export async function helm(major: HelmMajor, ...args: string[]): Promise<string> {
  return await command(await ensureHelm(major), args);
}

/** The chart's manifests as text, with a values file of the ci folder, and `--set` values. */
export async function render(major: HelmMajor, valuesFile: string, ...set: string[]): Promise<string> {
  return await helm(
    major,
    ...['template', 'kcorder', chartDir, '--namespace', 'kcorder'],
    ...['--values', join(chartDir, 'ci', valuesFile)],
    ...set.flatMap((each) => ['--set', each]),
  );
}

/** Every object that the chart makes, also that of `helm test`. */
export async function renderObjects(valuesFile: string, ...set: string[]): Promise<ClusterObject[]> {
  return (await readYaml(await render(3, valuesFile, ...set))) as ClusterObject[];
}

/** The documents of a YAML text, read by Helm itself: so no other reader's opinion comes in. */
export async function readYaml(text: string): Promise<Value[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kcorder-yaml-'));
  try {
    // The text is too long for an argument.
    const values = join(folder, 'values.json');
    writeFileSync(values, JSON.stringify({ text }));
    const printed = await helm(3, 'template', 'as-json', join(import.meta.dirname, 'as-json'), '--values', values);
    return printed
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Value);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The chart's default values. */
export async function defaultValues(): Promise<Value> {
  const [values] = await readYaml(readFileSync(join(chartDir, 'values.yaml'), 'utf8'));
  return values ?? null;
}

/** What is at a path such as `spec.template.spec.containers.0`; undefined if there is nothing. */
export function at(value: unknown, path: string): Value | undefined {
  let here = value as Value | undefined;
  for (const part of path.split('.')) {
    if (here === null || typeof here !== 'object') return undefined;
    here = (here as Record<string, Value>)[part];
  }
  return here;
}

/** The one object of this kind and name. */
export function named(objects: readonly ClusterObject[], kind: string, name: string): ClusterObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} objects are ${kind} ${name}`);
  return found[0];
}
