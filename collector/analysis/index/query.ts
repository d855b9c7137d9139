import type { Condition, RowOrder } from './filter.ts';
import type { ColumnType } from './schema.ts';

/** Which rows of an analysis are asked for. */
export interface RowQuery {
  readonly plugin: string;
  readonly conditions: readonly Condition[];
  /** Empty: of whatever place. */
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly pid: number | undefined;
  readonly order: RowOrder | undefined;
  /** True: with what is masked otherwise. */
  readonly unmask: boolean;
  readonly pageSize: number;
  /** Of the page before; empty for the first. */
  readonly pageToken: string;
}

/** A column of the answer. */
export interface PageColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** One page of rows, and what the analysis says of their plugin. */
export interface RowPage {
  readonly columns: readonly PageColumn[];
  readonly rows: readonly (readonly (string | number | boolean | null)[])[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
  readonly plugin: string;
  readonly state: string;
  readonly reason: string;
  readonly warnings: readonly string[];
  /** Of the plugin in all. */
  readonly rowCount: number;
}
