import type { PodContainerNames } from '../analysis.ts';
import { ContainerNames } from '../container-names.ts';
import type { ColumnOf } from '../plugins.ts';
import type { RowReader } from '../row-reader.ts';
import { inPod, Owners, onNode, type Place, unknown } from './places.ts';

type Column = ColumnOf<'processes'>;

/** A process of the task list. */
export interface Task {
  readonly place: Place;
  /** Pid in its own pid namespace. */
  readonly ownPid: number | null;
  readonly name: string;
  readonly address: string;
}

/** Names no pod; Kata's Go runtime puts VMs there, each of which is a pod's. */
const kataOverhead = /^\/kata_overhead\//;

/** The tasks of an image and who owns their namespaces, by the rows of our plugin `processes`. */
export class Tasks {
  readonly #names: ContainerNames;
  readonly #byPid = new Map<number, Task | undefined>();
  readonly #byAddress = new Map<string, Task>();
  readonly #pidOfThread = new Map<number, number>();
  readonly #networks = new Map<number, Owners>();
  readonly #mounts = new Map<number, Owners>();
  /** Namespaces of the node's first process. */
  readonly #node: { network?: number; mount?: number } = {};

  constructor(containers: readonly PodContainerNames[]) {
    this.#names = new ContainerNames(containers);
  }

  /** Reads a row of `processes`. */
  add(cells: RowReader<Column>, row: readonly unknown[]): void {
    const pid = cells.uint32(row, 'pid');
    if (pid === undefined) return;
    const isKernels = cells.flag(row, 'kernelThread');
    const task: Task = {
      place: isKernels ? onNode : this.#placeOf(cells.text(row, 'cgroup')),
      ownPid: cells.uint32(row, 'nspid') ?? null,
      name: cells.text(row, 'comm') ?? '',
      address: cells.text(row, 'offset') ?? '',
    };
    const before = this.#byPid.get(pid);
    // Two processes of one pid: a smeared image. Their addresses tell them apart, the pid does not.
    const isAnother = this.#byPid.has(pid) && before?.address !== task.address;
    this.#byPid.set(pid, isAnother ? undefined : task);
    if (task.address !== '') this.#byAddress.set(task.address, task);
    const network = cells.uint32(row, 'netNamespace');
    const mount = cells.uint32(row, 'mntNamespace');
    if (pid === 1) Object.assign(this.#node, { network, mount });
    note(this.#networks, network, task.place);
    note(this.#mounts, mount, task.place);
  }

  /** Notes which process a thread is of; contradictory words count for nothing. */
  addThread(tid: number, pid: number): void {
    const before = this.#pidOfThread.get(tid);
    this.#pidOfThread.set(tid, before === undefined || before === pid ? pid : -1);
  }

  byPid(pid: number): Task | undefined {
    return this.#byPid.get(pid);
  }

  byThread(tid: number): Task | undefined {
    return this.#byPid.get(this.#pidOfThread.get(tid) ?? tid);
  }

  byAddress(address: string): Task | undefined {
    return this.#byAddress.get(address);
  }

  /** Who a network namespace belongs to: the node when its first process is in it, whoever else is. */
  ofNetwork(inode: number): Place {
    return inode === this.#node.network ? onNode : (this.#networks.get(inode)?.place ?? unknown);
  }

  ofMounts(inode: number): Place {
    return inode === this.#node.mount ? onNode : (this.#mounts.get(inode)?.place ?? unknown);
  }

  #placeOf(cgroup: string | undefined): Place {
    // Unread is not the node's.
    if (cgroup === undefined || cgroup === '' || kataOverhead.test(cgroup)) return unknown;
    const placement = this.#names.place(cgroup);
    return placement === undefined ? onNode : inPod(placement);
  }
}

function note(owners: Map<number, Owners>, inode: number | undefined, place: Place): void {
  if (inode === undefined || inode === 0) return;
  const known = owners.get(inode);
  if (known === undefined) owners.set(inode, new Owners(place));
  else known.add(place);
}
