import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoDir } from '../../tools/setup/cache.ts';

/** The rule file that ships. */
export const rulesPath = join(repoDir, 'helm/kcorder/files/rules.yaml');

/** Patience of single rules, in seconds as the file has it, and what it is here: each must be there as often as told. */
const timeouts: readonly { readonly text: string; readonly short: string; readonly times: number }[] = [
  { text: 'kcorder_capture_oldest_progress_timestamp_seconds[5m])) > 600', short: '> 6', times: 1 },
  { text: 'kcorder_analysis_oldest_waiting_timestamp_seconds[5m])) > 3600', short: '> 6', times: 1 },
  { text: 'kcorder_notification_oldest_waiting_timestamp_seconds[5m])) > 900', short: '> 6', times: 1 },
  // Watches of the API server last 15 s, and show at their end at the latest that they are alive.
  { text: 'kcorder_inventory_in_step_timestamp_seconds[10m])) > 300', short: '> 30', times: 1 },
];

/**
 * The rules that ship, but for their patience: what must hold for minutes needs a second here, and what must be so many minutes old a few seconds.
 * What they look at and how they compare is the same. Throws when a rule is not what it was when this was written.
 */
export function shortenedRules(): string {
  let text = readFileSync(rulesPath, 'utf8');
  for (const { text: before, short, times } of timeouts) {
    const parts = text.split(before);
    if (parts.length !== times + 1) throw new Error(`${rulesPath} has "${before}" ${parts.length - 1} times`);
    text = parts.join(before.replace(/> \d+$/, short));
  }
  return text.replaceAll(/^(\s+)for: \d+[smh]$/gm, '$1for: 1s');
}

/** Names of all alerts of the rule file. */
export function alertNames(): string[] {
  return [...readFileSync(rulesPath, 'utf8').matchAll(/^\s+- alert: (\w+)$/gm)].map((match) => match[1] ?? '');
}
