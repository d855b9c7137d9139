import { type PluginResult, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';

/** A plugin as a line tells of it: `linux.lsof.Lsof  running  12,034 rows`, `linux.bash.Bash  FAILED  timeout`. */
export function pluginLine({ name, state, rowCount, reason, seconds }: PluginResult): string {
  const took = `${seconds.toFixed(1)}s`;
  switch (state) {
    case PluginState.WAITING:
      return `${name}  waiting`;
    case PluginState.RUNNING:
      return rowCount === 0n ? `${name}  running` : `${name}  running  ${rowsText(rowCount)}`;
    case PluginState.ROWS:
      return `${name}  ${rowsText(rowCount)}  ${took}`;
    case PluginState.EMPTY:
      return `${name}  nothing found  ${took}`;
    case PluginState.FAILED:
      return `${name}  FAILED  ${reason || 'no reason given'}`;
    case PluginState.UNSUPPORTED:
      return `${name}  unsupported  ${reason || 'no reason given'}`;
    default:
      return `${name}  unknown (${state})`;
  }
}

/** All plugins in brief: `12 of 33 plugins, linux.lsof.Lsof 12,034 rows, linux.psscan.PsScan`; empty for none. */
export function pluginsBrief(plugins: Iterable<PluginResult>): string {
  const all = [...plugins];
  if (all.length === 0) return '';
  const running = all.filter(({ state }) => state === PluginState.RUNNING);
  const ended = all.filter(hasPluginEnded).length;
  const names = running.map(({ name, rowCount }) => (rowCount === 0n ? name : `${name} ${rowsText(rowCount)}`));
  return [`${ended} of ${all.length} plugins`, ...names].join(', ');
}

/** Whether a plugin has come to its end. */
export function hasPluginEnded({ state }: PluginResult): boolean {
  return state !== PluginState.WAITING && state !== PluginState.RUNNING;
}

/** How many rows, with commas between thousands: `12,034 rows`. */
export function rowsText(count: bigint | number): string {
  return `${count.toLocaleString('en-US')} ${Number(count) === 1 ? 'row' : 'rows'}`;
}
