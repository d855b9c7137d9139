import type { JsonValue } from '@bufbuild/protobuf';
import { toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import type { PluginResult } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { type Look, tableOf } from '../output/grid.ts';

/** The rows of one plugin under its own column titles, upper case. */
export function pluginTable(plugin: PluginResult, look: Look): string {
  const columns = plugin.columns.map((title) => ({ title: title.toUpperCase() }));
  const rows = plugin.rows.map((row) => cellsOf(toJson(ListValueSchema, row)));
  return tableOf(columns, rows, look);
}

function cellsOf(row: JsonValue): string[] {
  return Array.isArray(row) ? row.map(cellText) : [];
}

function cellText(value: JsonValue): string {
  if (value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
