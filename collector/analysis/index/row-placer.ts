import { RowReader } from '../row-reader.ts';
import type { Devices } from './devices.ts';
import { keysOf, type RowKeys } from './keys.ts';
import { Owners, onNode, type Place, unknown } from './places.ts';
import type { Task, Tasks } from './tasks.ts';

/** What the index says of a row besides its cells. */
export interface PlacedRow {
  readonly place: Place;
  readonly ownPid: number | null;
}

const nobody: PlacedRow = { place: unknown, ownPid: null };
const kernels: PlacedRow = { place: onNode, ownPid: null };

/** Places the rows of one plugin. */
export class RowPlacer {
  readonly keys: RowKeys | 'kernel';
  readonly #cells: RowReader;
  readonly #tasks: Tasks;
  readonly #devices: Devices;

  constructor(plugin: string, columns: readonly string[], tasks: Tasks, devices: Devices) {
    this.keys = keysOf(plugin, columns);
    this.#cells = new RowReader(columns);
    this.#tasks = tasks;
    this.#devices = devices;
  }

  /** By the task that the row names, else by its namespaces, else by its device. */
  place(row: readonly unknown[]): PlacedRow {
    if (this.keys === 'kernel') return kernels;
    const { pids, net, mount, device } = this.keys;
    const task = this.#task(row, this.keys);
    if (task !== undefined) return { place: task.place, ownPid: task.ownPid };
    const place =
      this.#ofPids(row, pids) ??
      this.#by(row, net, (inode) => this.#tasks.ofNetwork(inode)) ??
      this.#by(row, mount, (inode) => this.#tasks.ofMounts(inode)) ??
      this.#ofDevice(row, device);
    return place === undefined ? nobody : { place, ownPid: null };
  }

  #task(row: readonly unknown[], { pid, tid, address, alive }: RowKeys): Task | undefined {
    const at = address === undefined ? undefined : this.#cells.text(row, address);
    const byAddress = at === undefined ? undefined : this.#tasks.byAddress(at);
    if (byAddress !== undefined) return byAddress;
    const group = this.#number(row, pid);
    const thread = this.#number(row, tid);
    const task = group === undefined ? thread && this.#tasks.byThread(thread) : this.#tasks.byPid(group);
    if (task === undefined || task === 0 || alive === undefined) return task || undefined;
    const isSame =
      this.#cells.text(row, alive.name) === task.name && this.#cells.text(row, alive.state) === alive.running;
    return isSame ? task : undefined;
  }

  #ofPids(row: readonly unknown[], column: string | undefined): Place | undefined {
    const text = column === undefined ? undefined : this.#cells.text(row, column);
    if (text === undefined) return undefined;
    const owners = new Owners();
    for (const pid of text.split(',')) owners.add(this.#tasks.byPid(Number(pid))?.place ?? unknown);
    return owners.place;
  }

  #ofDevice(row: readonly unknown[], column: string | undefined): Place | undefined {
    const device = column === undefined ? undefined : this.#cells.text(row, column);
    return device === undefined ? undefined : this.#devices.of(device);
  }

  #by(row: readonly unknown[], column: string | undefined, of: (inode: number) => Place): Place | undefined {
    const inode = this.#number(row, column);
    return inode === undefined ? undefined : of(inode);
  }

  #number(row: readonly unknown[], column: string | undefined): number | undefined {
    return column === undefined ? undefined : this.#cells.uint32(row, column);
  }
}
