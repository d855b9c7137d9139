import { rowsOf, type SettingRow, type Settings } from '@kcorder/proto/settings.ts';

/** The settings as lines of a Markdown table: variable, default, meaning. */
export const settingsTable = (settings: Settings): string[] =>
  rowsOf(settings).map((row) => `| \`${row.name}\` | ${defaultOf(row)} | ${row.says} |`);

function defaultOf({ fallback = '', unit, isRequired }: SettingRow): string {
  if (isRequired) return 'required';
  if (fallback === '') return 'none';
  const value = Number(fallback);
  if (unit === 'bytes' && value > 0 && value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`;
  return Number.isNaN(value) ? `\`${fallback}\`` : fallback;
}
