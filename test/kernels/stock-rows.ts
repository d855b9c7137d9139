import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repoDir } from '../../tools/setup/cache.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import type { Analyzed } from './replay.ts';

/** What `vol` made of one plugin. */
type Stock =
  | { readonly plugin: string; readonly columns: readonly string[]; readonly rows: readonly unknown[][] }
  | { readonly plugin: string; readonly error: string };

/** How ours and stock's rows of a plugin may differ, and why: by plugin, in stock-differences.json. */
type Differences = Readonly<Record<string, { readonly kinds: readonly Difference['kind'][]; readonly why: string }>>;

export interface Difference {
  readonly plugin: string;
  /** `stock_fails`: it ends with an error; `stock_has_more`, `stock_has_less`: ours lack rows, or stock's; `values`: both. */
  readonly kind: 'stock_fails' | 'stock_has_more' | 'stock_has_less' | 'values';
  readonly detail: string;
}

export function knownDifferences(): Differences {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'stock-differences.json'), 'utf8')) as Differences;
}

/** Runs `vol` for each of the plugins on an image and compares the rows with ours, as multisets. `dir` is new. */
export async function compareWithStock(
  imagePath: string,
  isfPath: string,
  ours: Analyzed,
  plugins: readonly string[],
  dir: string,
): Promise<Difference[]> {
  mkdirSync(join(dir, 'symbols', 'linux'), { recursive: true });
  copyFileSync(isfPath, join(dir, 'symbols', 'linux', 'kernel.json'));
  const script = join(repoDir, 'collector/analysis/volatility/testing/stock_rows.py');
  const child = spawn(await ensureVolatility(), ['-B', script, imagePath, join(dir, 'symbols'), ...plugins], {
    env: { XDG_CACHE_HOME: join(dir, 'cache') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close');
  const found: Difference[] = [];
  const compared: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    const stock = JSON.parse(line) as Stock;
    compared.push(stock.plugin);
    found.push(...differenceOf(stock, ours));
  }
  await ended;
  const lost = plugins.filter((plugin) => !compared.includes(plugin));
  if (lost.length > 0) throw new Error(`vol was not run to its end for ${lost.join(', ')}`);
  return found;
}

function differenceOf(stock: Stock, ours: Analyzed): Difference[] {
  const { plugin } = stock;
  const [, ...rows] = (ours.rows.get(plugin) ?? []) as unknown[][];
  if ('error' in stock) return [{ plugin, kind: 'stock_fails', detail: stock.error }];
  const { columns = [] } = ours.report.plugins.find(({ name }) => name === plugin) ?? {};
  const first = columns[0] === 'TreeDepth' ? 1 : 0;
  const [mine, theirs] = [count(rows.map((row) => row.slice(first))), count(stock.rows)];
  const [more, less] = [surplus(theirs, mine), surplus(mine, theirs)];
  if (more.length === 0 && less.length === 0) return [];
  const kind = less.length === 0 ? 'stock_has_more' : more.length === 0 ? 'stock_has_less' : 'values';
  const detail = `of ${stock.rows.length} and ${rows.length} rows ${more.length} and ${less.length} have no match, such as ${more[0]} and ${less[0]}`;
  return [{ plugin, kind, detail }];
}

function count(rows: readonly unknown[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const row of rows) found.set(JSON.stringify(row), (found.get(JSON.stringify(row)) ?? 0) + 1);
  return found;
}

/** The rows that are more often in one than in the other. */
function surplus(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): string[] {
  return [...one].flatMap(([row, times]) => (times > (other.get(row) ?? 0) ? [row] : []));
}
