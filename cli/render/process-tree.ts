import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';

/** A process and how deep it stands below the first process of its group. */
export interface Branch {
  readonly process: Process;
  readonly depth: number;
}

/**
 * Processes as a tree by ppid, each exactly once, siblings by pid. A process whose parent is not among them stands at depth 0.
 * The links come from a memory image that may be smeared or forged: pids may repeat and parents may form a ring.
 */
export function treeOf(processes: readonly Process[]): Branch[] {
  const sorted = processes.toSorted((a, b) => a.pid - b.pid);
  const pids = new Set(sorted.map(({ pid }) => pid));
  const children = Map.groupBy(sorted, (process) =>
    pids.has(process.ppid) && process.ppid !== process.pid ? process.ppid : undefined,
  );
  const seen = new Set<Process>();
  const branches: Branch[] = [];
  const walk = (roots: readonly Process[]): void => {
    const stack = roots.map((process) => ({ process, depth: 0 })).reverse();
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (seen.has(next.process)) continue;
      seen.add(next.process);
      branches.push(next);
      const depth = next.depth + 1;
      const below = children.get(next.process.pid) ?? [];
      // The first of those with one pid has all its children: asked again by each, thousands of them took hours.
      children.delete(next.process.pid);
      for (const process of below.toReversed()) if (!seen.has(process)) stack.push({ process, depth });
    }
  };
  walk(children.get(undefined) ?? []);
  // What is left hangs in rings: each is entered at its lowest pid.
  for (const process of sorted) if (!seen.has(process)) walk([process]);
  return branches;
}
