import type { LabNode } from '../../tools/lab/node.ts';

/** A process as /proc of its node shows it. */
export interface OracleProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  /** Clock ticks since boot; with the pid it tells one process from the next. */
  readonly startTicks: string;
  readonly cgroup: string;
  readonly commandLine: string;
}

// One process a line, fields separated by tabs; a process that ends meanwhile is left out.
const script = String.raw`
for d in /proc/[0-9]*; do
  { s=$(cat $d/stat) && c=$(grep '^0::' $d/cgroup) && a=$(tr '\0' ' ' <$d/cmdline) && printf '%s\t%s\t%s\n' "$s" "$c" "$a"; } 2>/dev/null
done; true`;

/** Every process of the node at this moment, told by its own kernel. */
export async function askProc(node: LabNode): Promise<OracleProcess[]> {
  const text = await node.must(script);
  return text.split('\n').flatMap((line) => {
    const [stat = '', cgroup = '', commandLine = ''] = line.split('\t');
    const match = /^(\d+) \((.*)\) (.*)$/.exec(stat);
    if (match === null) return [];
    const fields = (match[3] ?? '').split(' ');
    return [
      {
        pid: Number(match[1]),
        name: taskName(match[2] ?? ''),
        ppid: Number(fields[1]),
        startTicks: fields[19] ?? '',
        cgroup: cgroup.slice(3),
        commandLine: commandLine.trim(),
      },
    ];
  });
}

/**
 * /proc adds to a worker what it works on (a rescuer, `kworker/R-NAME`, has its own name), and gives kernel threads names that are
 * longer than the 15 bytes of their task.
 */
const taskName = (name: string): string => name.replace(/^(kworker\/(?!R-)[^-+]*)[-+].*$/, '$1').slice(0, 15);

/** Those that lived from before one moment until after another. */
export function livedThrough(before: readonly OracleProcess[], after: readonly OracleProcess[]): OracleProcess[] {
  return before.filter(({ pid, startTicks }) =>
    after.some((other) => other.pid === pid && other.startTicks === startTicks),
  );
}
