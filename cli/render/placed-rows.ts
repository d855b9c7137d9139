import type { JsonValue } from '@bufbuild/protobuf';
import type { Row } from '../output/grid.ts';
import { textOf } from '../output/rows.ts';

/** How a table shows rows with the pods that they belong to. */
export interface PlacedTable {
  readonly titles: readonly string[];
  row(cells: readonly JsonValue[]): Row;
}

const placing: ReadonlySet<string> = new Set([
  'placement',
  'namespace',
  'pod',
  'pod_uid',
  'container',
  'container_pid',
]);

/** Pod and container first, then what the plugin says; wide, each column as it came. */
export function placedTable(columns: readonly string[], wide: boolean): PlacedTable {
  const place = columns.lastIndexOf('placement');
  if (wide || place < 0) return { titles: columns, row: (cells) => cells.map(textOf) };
  const own = columns.flatMap((column, index) => (index > place || placing.has(column) ? [] : [index]));
  const at = (name: string): number => columns.lastIndexOf(name);
  const [namespace, pod, uid, container] = [at('namespace'), at('pod'), at('pod_uid'), at('container')];
  return {
    titles: ['namespace', 'pod', 'container', ...own.map((index) => columns[index] ?? '')],
    row: (cells) => {
      const cell = (index: number): JsonValue => cells[index] ?? null;
      return [
        textOf(cell(namespace)),
        podOf(cell(place), cell(pod) ?? cell(uid)),
        textOf(cell(container)),
        ...own.map((index) => textOf(cell(index))),
      ];
    },
  };
}

/** The pod, or what stands for one; a dash while it is not known where the row belongs. */
function podOf(placement: JsonValue, pod: JsonValue): string {
  if (placement === 'pod') return textOf(pod);
  return placement === null ? '-' : `(${textOf(placement)})`;
}
