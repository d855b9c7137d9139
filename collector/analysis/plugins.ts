/** What is kept of a plugin's rows; bytes as they are on disk. */
export interface RowBound {
  readonly rows: number;
  readonly bytes: number;
}

/** What the runner has to know of a plugin. */
export interface RunnerPlugin {
  /** One of ours, or Volatility's by its module and class. */
  readonly name: string;
  /** True: no running node is without what it lists, so it has failed when it finds nothing. */
  readonly neverEmpty?: boolean;
  /** Its rows have a PID and are compared with the task list: `each` process has a row, or only `some` have. */
  readonly processes?: 'each' | 'some';
  /** True: its rows are those of a tree, and get their depth as the first column. */
  readonly tree?: boolean;
}

/** A plugin that runs on every image. */
interface PluginRow extends RunnerPlugin {
  /** Of those whose rows are read here: what our runner names its columns. */
  readonly columns?: readonly string[];
  /** Default: `anyRows`. */
  readonly most?: RowBound;
}

/** What is kept of rows that are only passed on. */
const anyRows: RowBound = { rows: 1_000_000, bytes: 256 * 2 ** 20 };

/** The plugins that run on every image, in this order: ours, then Volatility's. */
export const pluginTable = [
  {
    name: 'processes',
    // The agent that sent the image ran, with files and a connection open.
    neverEmpty: true,
    columns: [
      ...['pid', 'ppid', 'nspid', 'comm', 'state', 'threads', 'uid', 'gid', 'startTime', 'kernelThread'],
      ...['commandLine', 'exe', 'cgroup', 'utsName', 'netNamespace', 'pidNamespace', 'mntNamespace', 'offset'],
    ],
    // Joined in memory: 50,000 processes are five times those of a large node.
    most: { rows: 50_000, bytes: 16 * 2 ** 20 },
  },
  {
    name: 'sockets',
    neverEmpty: true,
    columns: [
      ...['pid', 'fd', 'family', 'type', 'protocol', 'state', 'localAddress', 'localPort', 'remoteAddress'],
      ...['remotePort', 'path', 'netNamespace', 'inode'],
    ],
    most: { rows: 150_000, bytes: 16 * 2 ** 20 },
  },
  { name: 'hiddenModules', columns: ['name', 'offset'], most: { rows: 10_000, bytes: 4 * 2 ** 20 } },
  { name: 'linux.pslist.PsList', neverEmpty: true, processes: 'each' },
  { name: 'linux.pstree.PsTree', neverEmpty: true, processes: 'each', tree: true },
  { name: 'linux.psaux.PsAux', neverEmpty: true, processes: 'each' },
  { name: 'linux.sockstat.Sockstat', neverEmpty: true, processes: 'some' },
  { name: 'linux.lsof.Lsof', neverEmpty: true, processes: 'some' },
  // Ours, in the columns of Volatility's.
  { name: 'linux.lsmod.Lsmod' },
] as const satisfies readonly PluginRow[];

export type PluginName = (typeof pluginTable)[number]['name'];

/** A column of a plugin whose rows are read here. */
export type ColumnOf<Name extends PluginName> = Extract<
  (typeof pluginTable)[number],
  { readonly name: Name; readonly columns: readonly string[] }
>['columns'][number];

/** Names of the plugins that run on every image. */
export const defaultPlugins: readonly PluginName[] = pluginTable.map(({ name }) => name);

const byName: ReadonlyMap<string, PluginRow> = new Map(pluginTable.map((row) => [row.name, row]));

/** The bound of a plugin's rows. */
export function rowBoundOf(plugin: string): RowBound {
  return byName.get(plugin)?.most ?? anyRows;
}

/** What our runner names the columns of a plugin; none for those that name them themselves. */
export function knownColumns(plugin: string): readonly string[] {
  return byName.get(plugin)?.columns ?? [];
}

/** A plugin as the runner is told of it; of one that is not in the table it knows the name alone. */
export function runnerPlugin(plugin: string): RunnerPlugin {
  const { name, neverEmpty = false, processes, tree = false } = byName.get(plugin) ?? { name: plugin };
  return { name, neverEmpty, ...(processes && { processes }), tree };
}
