import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { group, type Role, roles } from '@kcorder/proto/rights/roles.ts';
import { repoDir } from './setup/cache.ts';

const docPath = 'docs/install.md';

/** Returns the files that are written from the table of roles, by their paths in the repository, with their whole texts. Throws if docs/install.md has no place for the table. */
export function derivedFiles(): [path: string, text: string][] {
  return [
    ['helm/kcorder/files/roles.yaml', chartRoles()],
    [docPath, withTable(readFileSync(join(repoDir, docPath), 'utf8'))],
  ];
}

function chartRoles(): string {
  const lines = roles.flatMap(({ name, rules }) => [
    `  - name: ${name}`,
    '    rules:',
    ...rules.map(({ resource, verbs }) => `      - { resource: ${resource}, verbs: [${verbs.join(', ')}] }`),
  ]);
  const head = '# Written by `npm run generate` from proto/rights/roles.ts.';
  return `${[head, `group: ${group}`, 'roles:', ...lines].join('\n')}\n`;
}

function withTable(doc: string): string {
  const place = /(?<=<!-- roles: [^\n]* -->\n).*?(?=<!-- end of roles -->)/s;
  if (!place.test(doc)) throw new Error(`${docPath} has no place for the table of roles: restore its two comments`);
  const rows = roles.map(({ name, summary, rules }) => `| \`${name}\` | ${summary} | ${granted(rules)} |\n`);
  return doc.replace(place, `\n| role | may | rights |\n|---|---|---|\n${rows.join('')}\n`);
}

/** `captures get, list, create; nodes list`: a resource once, even if several rules name it. */
function granted(rules: Role['rules']): string {
  return [...Map.groupBy(rules, ({ resource }) => resource)]
    .map(([resource, of]) => `\`${resource}\` ${of.flatMap(({ verbs }) => verbs).join(', ')}`)
    .join('; ');
}

if (import.meta.main) for (const [path, text] of derivedFiles()) writeFileSync(join(repoDir, path), text);
