const size = (column: string): string => `${column} BETWEEN 0 AND 9007199254740991`;
const flag = (column: string): string => `${column} IN (0, 1)`;
const oneOf = (column: string, ...values: readonly string[]): string =>
  `${column} IN (${values.map((value) => `'${value}'`).join(', ')})`;
const within = (most: number, ...columns: readonly string[]): string =>
  columns.map((column) => `length(${column}) <= ${most}`).join(' AND ');
const name = (column: string): string => `length(${column}) BETWEEN 1 AND 512`;
/** ISO 8601, UTC, which sorts and which Date reads. */
const time = (column: string): string =>
  `coalesce(length(${column}) = 24 AND ${column} GLOB '????-??-??T??:??:??.???Z' AND julianday(${column}) IS NOT NULL, 0)`;
/** A date alone will do. */
const date = (column: string): string => `(length(${column}) <= 24 AND julianday(${column}) IS NOT NULL)`;
const dateOrNone = (column: string): string => `(${column} = '' OR ${date(column)})`;
const timeOrNone = (column: string): string => `(${column} = '' OR ${time(column)})`;
const json = (column: string, mostMebibytes: number): string =>
  `json_valid(${column}) AND length(${column}) <= ${mostMebibytes << 20}`;

/**
 * Conditions that each row has to meet, by table, then by name. The bounds of what others send (proto/bounds/table.ts) keep them; should one fail to,
 * the row is not written, and everybody else's can be read.
 */
export const checks: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  nodes: {
    node_names: `${name('uid')} AND ${name('name')} AND ${within(512, 'agent_version')}`,
    node_times: time('last_seen_at'),
    // JSON writes a control character in six.
    node_kernel: json('kernel', 1),
    node_ranges: `CASE WHEN json_valid(kernel) THEN coalesce(json_array_length(kernel, '$.ramRanges'), 0) <= 1024 ELSE 0 END`,
    node_preflight: json('preflight', 1),
  },
  captures: {
    capture_names: `${name('id')} AND ${name('node_uid')} AND ${name('node_name')} AND ${within(4_096, 'requested_by', 'idempotency_key', 'schedule', 'outcome', 'outcome_reason')}`,
    capture_times: `${time('requested_at')} AND ${timeOrNone('ended_at')} AND ${timeOrNone('progress_at')}`,
    capture_sizes: `${size('durable_bytes')} AND ${size('ceiling_bytes')}`,
    capture_request: json('request', 2),
    capture_ranges: `CASE WHEN json_valid(request) THEN coalesce(json_array_length(request, '$.kernel.ramRanges'), 0) <= 1024
      AND json_extract(request, '$.id') IS id AND json_extract(request, '$.ceilingBytes') IS ceiling_bytes ELSE 0 END`,
    capture_state: json('state', 2),
    capture_phase: `${oneOf('phase', 'requested', 'acquiring', 'sealing', 'sealed', 'analyzing', 'done')}
      AND CASE WHEN json_valid(state) THEN json_extract(state, '$.phase') IS phase ELSE 0 END`,
    capture_evidence: `CASE WHEN json_valid(state) THEN coalesce(json_extract(state, '$.evidence.bytes'), 0) >= 0 ELSE 0 END`,
  },
  storage: {
    storage_names: `${name('capture_id')} AND ${name('node_name')} AND ${within(4_096, 'schedule', 'file', 'location', 'crc32c', 'generation', 'manifest_sha256')}`,
    storage_texts: within(65_536, 'trouble', 'flaw', 'deleted_by', 'delete_reason'),
    storage_times: `${date('sealed_at')} AND ${['verified_at', 'checked_at', 'deleted_at'].map(dateOrNone).join(' AND ')}`,
    storage_sizes: `${size('image_bytes')} AND ${size('stored_bytes')}`,
    storage_place: `${oneOf('place', 'spool', 'store', 'deleting', 'deleted')} AND ${flag('complete')} AND ${flag('leftovers')}`,
  },
  runs: {
    run_texts: `${within(4_096, 'schedule', 'node_uid', 'node_name', 'trigger_key', 'capture_id', 'reason')} AND ${within(1 << 20, 'detail')}`,
    run_times: within(64, 'tick', 'due_at', 'deadline_at'),
    run_state: oneOf('state', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'missed'),
    run_numbers: `${flag('triggered')} AND ticks BETWEEN 1 AND 9007199254740991`,
  },
  schedules: {
    schedule_spec: `${name('name')} AND ${json('spec', 8)} AND ${flag('configured')}`,
    schedule_times: `${time('created_at')} AND ${time('planned_through')}`,
  },
  findings: {
    finding_texts: `${name('capture_id')} AND ${within(512, 'rule')} AND ${within(1 << 20, 'detail')}`,
    finding_severity: oneOf('severity', 'info', 'warning', 'critical'),
  },
  holds: { hold_texts: `${name('capture_id')} AND ${time('at')} AND ${within(65_536, 'by', 'reason')}` },
  analyses_again: {
    again_texts: `${name('capture_id')} AND ${time('requested_at')} AND ${within(4_096, 'requested_by')}`,
    again_ending: `(ending = '' OR ${json('ending', 2)})`,
  },
};
