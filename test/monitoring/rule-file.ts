import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoDir } from '../../tools/setup/cache.ts';

/** An alert as its part of the rule file has it. */
export interface Alert {
  readonly name: string;
  readonly text: string;
}

export const rulesPath = join(repoDir, 'helm/kcorder/files/rules.yaml');
export const dashboardPath = join(repoDir, 'helm/kcorder/files/dashboard.json');

/** The alerts of the rule file, in its order. promtool has read the file as YAML; here it is text with one rule an item. */
export function alertsOf(text: string): Alert[] {
  return text.split(/^ {6}- /m).flatMap((part) => {
    const name = /^alert: (\S+)$/m.exec(part)?.[1];
    return name === undefined ? [] : [{ name, text: part.replace(/^ {2}- name:[\s\S]*$/m, '') }];
  });
}

export const readRules = (): string => readFileSync(rulesPath, 'utf8');

/** Names of the metrics that a text mentions, recorded ones left out; parts of a histogram come as the histogram. */
export function metricNames(text: string): string[] {
  const names = [...text.matchAll(/(?<![\w:])kcorder_[a-z0-9_]+(?![\w:])/g)].map(([name]) =>
    name.replace(/(_seconds)_(bucket|sum|count)$/, '$1'),
  );
  return [...new Set(names)].sort();
}

/** Names of recorded series that a text mentions. */
export function recordedNames(text: string): string[] {
  return [...new Set([...text.matchAll(/\bjob\w*:kcorder_[a-z0-9_]+:[a-z]+/g)].map(([name]) => name))].sort();
}
