import type { OracleProcess } from '../story/oracle.ts';

/** A process as `kcorder ps -o json` prints it. */
export interface ListedProcess {
  pid: number;
  name: string;
  startTime?: string;
  hidden?: boolean;
  placement?: { podUid?: string; containerId?: string; podName?: string };
}

/** How many of the processes that lived through a capture were found, and how many of those of pods in their pod. */
export interface Recall {
  readonly lived: number;
  readonly missing: readonly string[];
  readonly inPods: number;
  readonly misplaced: readonly string[];
  /** Found without a start time. */
  readonly undated: readonly string[];
}

/** Compares the processes of an analysis with those that the node's own /proc showed before and after the capture. */
export function recallOf(lived: readonly OracleProcess[], listed: readonly ListedProcess[]): Recall {
  const byPid = new Map(listed.map((process) => [process.pid, process]));
  const say = ({ pid, name }: OracleProcess): string => `${pid} ${name}`;
  const found = lived.filter(({ pid, name }) => byPid.get(pid)?.name === name);
  const inPods = found.filter(({ cgroup }) => placeOf(cgroup) !== '');
  return {
    lived: lived.length,
    missing: lived.filter((process) => !found.includes(process)).map(say),
    inPods: inPods.length,
    misplaced: found.filter(({ pid, cgroup }) => listedPlace(byPid.get(pid)) !== placeOf(cgroup)).map(say),
    undated: found.filter(({ pid }) => !byPid.get(pid)?.startTime).map(say),
  };
}

/** Pod uid and container id in a cgroup of the lab, which names them as containerd does under systemd; empty outside of pods. */
function placeOf(cgroup: string): string {
  const [, uid, id] = /-pod([0-9a-f_]{36})\.slice\/cri-containerd-([0-9a-f]{64})\.scope/.exec(cgroup) ?? [];
  return uid === undefined ? '' : `${uid.replaceAll('_', '-')} ${id}`;
}

/** The same of a listed process; one whose pod has no name counts as outside of pods. */
function listedPlace(process: ListedProcess | undefined): string {
  const { podUid = '', containerId = '', podName = '' } = process?.placement ?? {};
  return podName === '' ? '' : `${podUid} ${containerId}`;
}
