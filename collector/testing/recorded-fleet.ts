import type { DatabaseSync } from 'node:sqlite';
import type { CaptureState, Outcome, Request } from '../capture/capture.ts';
import { transact } from '../journal/database.ts';
import { encode } from '../journal/encode.ts';
import { request, states } from './states.ts';

const minuteMs = 60_000;

/** How a fleet is made up. */
export interface FleetShape {
  readonly nodes: number;
  /** Of each node. */
  readonly capturesPerNode: number;
  readonly schedule: string;
  readonly intervalMs: number;
  readonly nowMs: number;
}

/** Writes the history of a fleet on one schedule as the collector leaves it: most captures complete, every 50th node's newest one failed. */
export function recordFleet(database: DatabaseSync, shape: FleetShape): void {
  const { nodes, capturesPerNode, schedule, intervalMs, nowMs } = shape;
  const firstMs = nowMs - capturesPerNode * intervalMs;
  transact(database, () => {
    database
      .prepare(
        `INSERT INTO schedules (name, spec, configured, created_at, created_by, planned_through) VALUES (?, '{}', 1, ?, 'configuration', ?)`,
      )
      .run(schedule, iso(firstMs - intervalMs), iso(nowMs));
    for (let node = 0; node < nodes; node += 1) {
      for (let round = 0; round < capturesPerNode; round += 1) {
        const failed = node % 50 === 0 && round === capturesPerNode - 1;
        recordCapture(database, {
          id: `c-${node}-${round}`,
          node: `node-${node}`,
          schedule,
          tickMs: firstMs + round * intervalMs,
          outcome: failed
            ? { kind: 'failed', reason: 'order_expired', detail: 'the agent did not take the order' }
            : { kind: 'complete' },
        });
      }
    }
  });
}

/** A capture as it is recorded once it is done. */
export interface RecordedCapture {
  readonly id: string;
  readonly node: string;
  /** Empty: by hand. */
  readonly schedule: string;
  readonly tickMs: number;
  readonly outcome: Outcome;
}

/** Prepared once: a fleet's history is tens of thousands of rows. */
const statements = new WeakMap<DatabaseSync, ReturnType<typeof prepared>>();

function prepared(database: DatabaseSync) {
  return {
    capture: database.prepare(
      `INSERT INTO captures (id, node_uid, node_name, requested_by, idempotency_key, requested_at, phase, durable_bytes, ceiling_bytes, request,
         state, schedule, outcome, outcome_reason, ended_at) VALUES (?, ?, ?, ?, ?, ?, 'done', 100, 1000, ?, ?, ?, ?, ?, ?)`,
    ),
    image: database.prepare(
      `INSERT INTO storage (capture_id, node_name, schedule, sealed_at, complete, image_bytes, stored_bytes, place)
       VALUES (?, ?, ?, ?, 1, 100, 40, 'store')`,
    ),
    run: database.prepare(
      `INSERT INTO runs (schedule, tick, node_uid, node_name, due_at, deadline_at, state, capture_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
  };
}

/** Writes a capture that is done, with its run and its image. */
export function recordCapture(database: DatabaseSync, recorded: RecordedCapture): void {
  const insert = statements.get(database) ?? prepared(database);
  statements.set(database, insert);
  const { id, node, schedule, tickMs, outcome } = recorded;
  const uid = `uid-${node}`;
  const tick = iso(tickMs);
  const endedAt = iso(tickMs + minuteMs);
  const made: Request = {
    ...request,
    id,
    node: { name: node, uid },
    requestedAt: tick,
    ...(schedule === '' ? {} : { requestedBy: `schedule/${schedule}`, schedule: { name: schedule, tick } }),
  };
  const state: CaptureState = { ...states.done, outcome, endedAt };
  insert.capture.run(
    ...[id, uid, node, made.requestedBy, `${tick}/${id}`, tick, encode(made), encode(state), schedule],
    ...[outcome.kind, 'reason' in outcome ? outcome.reason : '', endedAt],
  );
  if (outcome.kind === 'complete') insert.image.run(id, node, schedule, endedAt);
  if (schedule === '') return;
  insert.run.run(schedule, tick, uid, node, tick, tick, outcome.kind === 'complete' ? 'succeeded' : 'failed', id);
}

const iso = (ms: number): string => new Date(ms).toISOString();
