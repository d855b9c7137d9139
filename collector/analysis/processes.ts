import { create } from '@bufbuild/protobuf';
import { type Process, ProcessSchema, type Socket, SocketSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { PodContainerNames } from './analysis.ts';
import { ContainerNames } from './container-names.ts';
import type { ColumnOf } from './plugins.ts';
import { RowReader } from './row-reader.ts';

type ProcessColumn = ColumnOf<'processes'>;
type SocketColumn = ColumnOf<'sockets'>;

/** Rows of a plugin with the names of their columns. */
export interface PluginRows {
  readonly columns: readonly string[];
  readonly rows: AsyncIterable<readonly unknown[]>;
}

/**
 * Processes with their sockets and the containers that they ran in, in the order of the rows. Rows that say the same (pid and task address; pid
 * and descriptor) count once. Without socket rows there are no sockets: whether the plugin failed is in its result.
 */
export async function joinProcesses(
  processes: PluginRows,
  sockets: PluginRows | undefined,
  containers: readonly PodContainerNames[],
): Promise<Process[]> {
  const names = new ContainerNames(containers);
  const cells = new RowReader<ProcessColumn>(processes.columns);
  const joined = new Map<string, Process>();
  const firstByPid = new Map<number, Process>();
  for await (const row of processes.rows) {
    const process = toProcess(row, cells, names);
    if (process === undefined) continue;
    const key = `${process.pid} ${process.taskAddress}`;
    if (joined.has(key)) continue;
    joined.set(key, process);
    if (!firstByPid.has(process.pid)) firstByPid.set(process.pid, process);
  }
  if (sockets !== undefined) await attachSockets(sockets, firstByPid);
  return [...joined.values()];
}

async function attachSockets(sockets: PluginRows, byPid: ReadonlyMap<number, Process>): Promise<void> {
  const cells = new RowReader<SocketColumn>(sockets.columns);
  const seen = new Set<string>();
  for await (const row of sockets.rows) {
    const pid = cells.uint32(row, 'pid');
    const process = pid === undefined ? undefined : byPid.get(pid);
    if (process === undefined) continue;
    const socket = toSocket(row, cells);
    const key = `${pid} ${socket.fd}`;
    if (seen.has(key)) continue;
    seen.add(key);
    process.sockets.push(socket);
  }
}

/** Undefined for a row without a pid, which names no process. */
function toProcess(
  row: readonly unknown[],
  cells: RowReader<ProcessColumn>,
  names: ContainerNames,
): Process | undefined {
  const text = (column: ProcessColumn) => cells.text(row, column) ?? '';
  const number = (column: ProcessColumn) => cells.uint32(row, column) ?? 0;
  const pid = cells.uint32(row, 'pid');
  if (pid === undefined) return undefined;
  const commandLine = cells.text(row, 'commandLine');
  const cgroup = text('cgroup');
  const placement = names.place(cgroup);
  const inTaskList = cells.knownFlag(row, 'inTaskList');
  const inPidTable = cells.knownFlag(row, 'inPidTable');
  return create(ProcessSchema, {
    pid,
    ppid: number('ppid'),
    namespacePid: number('nspid'),
    name: text('comm'),
    state: text('state'),
    threads: number('threads'),
    uid: number('uid'),
    startTime: text('startTime'),
    kernelThread: cells.flag(row, 'kernelThread'),
    executable: text('exe'),
    cgroup,
    hostname: text('utsName'),
    taskAddress: text('offset'),
    hidden: cells.flag(row, 'hidden'),
    ...(inTaskList === undefined ? {} : { inTaskList }),
    ...(inPidTable === undefined ? {} : { inPidTable }),
    ...(commandLine === undefined ? {} : { commandLine }),
    ...(placement === undefined ? {} : { placement }),
  });
}

function toSocket(row: readonly unknown[], cells: RowReader<SocketColumn>): Socket {
  const text = (column: SocketColumn) => cells.text(row, column) ?? '';
  const number = (column: SocketColumn) => cells.uint32(row, column) ?? 0;
  return create(SocketSchema, {
    fd: number('fd'),
    family: text('family'),
    type: text('type'),
    protocol: text('protocol'),
    state: text('state'),
    localAddress: text('localAddress'),
    localPort: number('localPort'),
    remoteAddress: text('remoteAddress'),
    remotePort: number('remotePort'),
    path: text('path'),
  });
}
