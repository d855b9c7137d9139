import type { RowReader } from '../row-reader.ts';
import { Owners, onNode, type Place, unknown } from './places.ts';
import type { Tasks } from './tasks.ts';

/** The plugin whose rows say which namespaces have mounted a device. */
export const mountPlugin = 'linux.mountinfo.MountInfo';

interface Mounted {
  byNode: boolean;
  readonly pods: Owners;
  /** Of those that have it as the root of an overlay, which is a container's own file system. */
  readonly roots: Owners;
  isRoot: boolean;
  isMounted: boolean;
}

/** Whose file systems there are, by device. */
export class Devices {
  readonly #tasks: Tasks;
  readonly #devices = new Map<string, Mounted>();

  constructor(tasks: Tasks) {
    this.#tasks = tasks;
  }

  /** Reads a row of MountInfo. */
  add(cells: RowReader, row: readonly unknown[]): void {
    const device = cells.text(row, 'MAJOR:MINOR');
    const namespace = cells.uint32(row, 'MNT_NS_ID');
    if (device === undefined || namespace === undefined) return;
    const known = this.#devices.get(device) ?? newDevice();
    this.#devices.set(device, known);
    const owner = this.#tasks.ofMounts(namespace);
    if (owner.placement === 'node') {
      known.byNode = true;
      return;
    }
    known.isMounted = true;
    known.pods.add(owner);
    const isRoot = cells.text(row, 'MOUNT_POINT') === '/' && cells.text(row, 'FSTYPE') === 'overlay';
    if (!isRoot) return;
    known.isRoot = true;
    known.roots.add(owner);
  }

  /**
   * The one container or pod that uses a device. A runtime mounts a container's root for the node too, so that does not count; of anything else that
   * the node has mounted as well, disks are the node's, and of what has no disk nobody can tell.
   */
  of(device: string): Place {
    const known = this.#devices.get(device);
    if (known === undefined) return unknown;
    if (known.isRoot) return known.roots.place;
    if (!known.byNode) return known.pods.place;
    if (!known.isMounted) return onNode;
    return device.startsWith('0:') ? unknown : onNode;
  }
}

const newDevice = (): Mounted => ({
  byNode: false,
  pods: new Owners(),
  roots: new Owners(),
  isRoot: false,
  isMounted: false,
});
