/** A database as the third version made it: never to be changed. */
export const thirdVersion = `
  CREATE TABLE nodes (
    uid TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    kernel TEXT NOT NULL,
    preflight TEXT NOT NULL
  ) STRICT;
  CREATE TABLE captures (
    id TEXT PRIMARY KEY,
    node_uid TEXT NOT NULL,
    node_name TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    phase TEXT NOT NULL,
    durable_bytes INTEGER NOT NULL DEFAULT 0,
    ceiling_bytes INTEGER NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (requested_by, idempotency_key)
  ) STRICT;
  CREATE INDEX captures_by_age ON captures (requested_at DESC, id DESC);
  CREATE INDEX captures_by_phase ON captures (phase);
  CREATE UNIQUE INDEX one_capture_per_node ON captures (node_uid) WHERE phase IN ('requested', 'acquiring');
  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    capture_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;

  CREATE TABLE join_tokens (
    hash TEXT PRIMARY KEY,
    node_name TEXT NOT NULL,
    node_uid TEXT NOT NULL,
    expires_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE approvals (
    node_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (node_name, reason, approved_by)
  ) STRICT;

  ALTER TABLE captures ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN outcome_reason TEXT NOT NULL DEFAULT '';
  ALTER TABLE captures ADD COLUMN ended_at TEXT NOT NULL DEFAULT '';
  UPDATE captures SET
    outcome = coalesce(json_extract(state, '$.outcome.kind'), ''),
    outcome_reason = coalesce(json_extract(state, '$.outcome.reason'), ''),
    ended_at = json_extract(state, '$.endedAt')
    WHERE json_extract(state, '$.endedAt') IS NOT NULL;
  ALTER TABLE captures ADD COLUMN progress_at TEXT NOT NULL DEFAULT '';
  CREATE INDEX captures_by_schedule ON captures (schedule, node_name, outcome, ended_at, outcome_reason);
  CREATE TABLE storage (
    sequence INTEGER PRIMARY KEY,
    capture_id TEXT NOT NULL UNIQUE,
    node_name TEXT NOT NULL,
    schedule TEXT NOT NULL,
    sealed_at TEXT NOT NULL,
    complete INTEGER NOT NULL,
    image_bytes INTEGER NOT NULL,
    place TEXT NOT NULL DEFAULT 'spool',
    trouble TEXT NOT NULL DEFAULT '',
    file TEXT NOT NULL DEFAULT '',
    location TEXT NOT NULL DEFAULT '',
    stored_bytes INTEGER NOT NULL,
    crc32c TEXT NOT NULL DEFAULT '',
    generation TEXT NOT NULL DEFAULT '',
    manifest_sha256 TEXT NOT NULL DEFAULT '',
    leftovers INTEGER NOT NULL DEFAULT 0,
    verified_at TEXT NOT NULL DEFAULT '',
    checked_at TEXT NOT NULL DEFAULT '',
    flaw TEXT NOT NULL DEFAULT '',
    deleted_at TEXT NOT NULL DEFAULT '',
    deleted_by TEXT NOT NULL DEFAULT '',
    delete_reason TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE INDEX storage_by_place ON storage (place, sealed_at, verified_at, stored_bytes, trouble, flaw);
  CREATE INDEX storage_by_maker ON storage (place, schedule, node_name, sequence);
  CREATE INDEX storage_by_node ON storage (node_name, place, stored_bytes) WHERE place <> 'deleted';
  CREATE INDEX storage_to_verify ON storage (place, max(sealed_at, checked_at));
  CREATE INDEX storage_to_tidy ON storage (place, leftovers);
  INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes)
    SELECT id, node_name, '', ended_at, outcome = 'complete', json_extract(state, '$.evidence.bytes'), json_extract(state, '$.evidence.bytes')
    FROM captures WHERE json_extract(state, '$.evidence.bytes') IS NOT NULL ORDER BY ended_at, id;
  CREATE TABLE holds (
    capture_id TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE INDEX holds_by_capture ON holds (capture_id);
  CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    configured INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    paused_by TEXT NOT NULL DEFAULT '',
    planned_through TEXT NOT NULL
  ) STRICT;
  CREATE TABLE runs (
    schedule TEXT NOT NULL,
    tick TEXT NOT NULL,
    node_uid TEXT NOT NULL,
    node_name TEXT NOT NULL,
    triggered INTEGER NOT NULL DEFAULT 0,
    trigger_key TEXT NOT NULL DEFAULT '',
    due_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    capture_id TEXT NOT NULL DEFAULT '',
    ticks INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (schedule, tick, node_uid)
  ) STRICT;
  CREATE INDEX runs_due ON runs (due_at) WHERE state = 'waiting';
  CREATE INDEX runs_deadlines ON runs (deadline_at) WHERE state = 'waiting';
  CREATE INDEX runs_open ON runs (schedule, node_name, tick) WHERE state IN ('waiting', 'running');
  CREATE INDEX runs_running ON runs (schedule) WHERE state = 'running';
  CREATE INDEX runs_by_node ON runs (node_name, schedule, tick);
  CREATE INDEX runs_by_tick ON runs (tick);
  CREATE INDEX runs_by_capture ON runs (capture_id) WHERE capture_id <> '';
  CREATE INDEX runs_by_trigger ON runs (schedule, trigger_key) WHERE trigger_key <> '';
  CREATE TABLE analyses_again (
    capture_id TEXT PRIMARY KEY,
    requested_at TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    ending TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE TABLE findings (
    capture_id TEXT NOT NULL,
    severity TEXT NOT NULL,
    rule TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE INDEX findings_by_capture ON findings (capture_id);
  CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    webhook TEXT NOT NULL,
    event TEXT NOT NULL DEFAULT '',
    key TEXT NOT NULL DEFAULT '',
    topic TEXT NOT NULL DEFAULT '',
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE UNIQUE INDEX notifications_once ON notifications (webhook, key) WHERE key <> '';
  CREATE INDEX notifications_by_state ON notifications (webhook, state, at);
  CREATE INDEX notifications_due ON notifications (webhook, next_attempt_at) WHERE state = 'waiting';
  CREATE INDEX notifications_by_topic ON notifications (webhook, topic, at) WHERE topic <> '';
  CREATE INDEX notifications_by_age ON notifications (state, at);
  CREATE TABLE notifications_read (
    audit_seq INTEGER NOT NULL
  ) STRICT;
  PRAGMA user_version = 3;
`;
