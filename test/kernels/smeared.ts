import type { PluginReport } from '../../collector/analysis/analysis.ts';

/** Returns the plugins that failed, but for those that found nothing in what changed while the memory was read: any node can have these. */
export function failedUnlessSmeared(plugins: readonly PluginReport[]): PluginReport[] {
  return plugins.filter(({ state, reason }) => state === 'failed' && !isSmear(reason));
}

/**
 * Tells a plugin that failed because of what changed while the memory was read from any other failure. There are many such sentences, and a slow node
 * brings each about in time; a plugin that cannot be empty on a running node has another one.
 */
export function isSmear(reason: string): boolean {
  return reason.startsWith('nothing found, but not everything was readable: ');
}
