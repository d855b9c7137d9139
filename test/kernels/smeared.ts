import type { PluginReport } from '../../collector/analysis/analysis.ts';

/** Returns the plugins that failed, but for those that found nothing in what changed while the memory was read: any node can have these. */
export function failedUnlessSmeared(plugins: readonly PluginReport[]): PluginReport[] {
  return plugins.filter(({ state, reason }) => state === 'failed' && !isSmear(reason));
}

/** Whether a plugin failed by a task list or mappings that changed while the memory was read. */
export function isSmear(reason: string): boolean {
  return /^nothing found, .*: The (maple tree of a process's mappings|task list) is broken/.test(reason);
}
