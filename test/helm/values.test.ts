import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chartDir, defaultValues, type Value } from './chart.ts';

const templates = readdirSync(join(chartDir, 'templates'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
  .join('\n');

/** Every path in the templates that begins with `.Values.`, without that. */
const used = new Set([...templates.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path]) => path?.slice(1) ?? ''));

/** Paths of all that is not a map with something in it. */
function leaves(value: Value, path: readonly string[] = []): string[][] {
  const entries = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length === 0) return [[...path]];
  return entries.flatMap(([key, below]) => leaves(below, [...path, key]));
}

interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
}

const schema = JSON.parse(readFileSync(join(chartDir, 'values.schema.json'), 'utf8')) as Schema;

function resolve(part: Schema): Schema {
  const name = part.$ref?.replace('#/definitions/', '');
  return name === undefined ? part : (schema.definitions?.[name] ?? {});
}

test('every value is used by a template, itself or with the map that it is in', async () => {
  const unused = leaves(await defaultValues())
    .filter((path) => !path.some((_, index) => used.has(path.slice(0, index + 1).join('.'))))
    .map((path) => path.join('.'));
  expect(unused).toEqual([]);
});

test('every value that a template uses has a default', async () => {
  const known = leaves(await defaultValues()).map((path) => path.join('.'));
  const unknown = [...used].filter((path) => !known.some((leaf) => leaf === path || leaf.startsWith(`${path}.`)));
  expect(unknown).toEqual([]);
});

test('the schema closes every map with fixed keys, and knows the same keys as values.yaml', async () => {
  const compare = (value: Value, open: Schema, path: string): string[] => {
    const part = resolve(open);
    if (part.properties === undefined || value === null || typeof value !== 'object' || Array.isArray(value)) return [];
    const optional = /^$|resources$|seLinuxOptions$/;
    const errors = part.additionalProperties === false ? [] : [`${path}: additional properties are allowed`];
    const allowed = Object.keys(part.properties);
    for (const key of Object.keys(value)) if (!allowed.includes(key)) errors.push(`${path}.${key}: not in the schema`);
    for (const key of allowed)
      if (!Object.hasOwn(value, key) && !optional.test(path)) errors.push(`${path}.${key}: not in values.yaml`);
    return errors.concat(
      Object.entries(value).flatMap(([key, below]) => compare(below, part.properties?.[key] ?? {}, `${path}.${key}`)),
    );
  };
  expect(compare(await defaultValues(), schema, '')).toEqual([]);
});

test('every value in the README has a description', () => {
  const readme = readFileSync(join(chartDir, 'README.md'), 'utf8');
  const rows = readme.split('\n').filter((line) => /^\| [a-z]\S* \| (string|int|bool|list|object) \|/.test(line));
  expect(rows.length).toBeGreaterThan(80);
  expect(rows.filter((row) => /\|\s*\|$/.test(row))).toEqual([]);
});
