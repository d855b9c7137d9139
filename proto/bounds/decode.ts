import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { Fault } from '../fault.ts';
import { type FieldPlan, type MessagePlan, Planner } from './plan.ts';
import { bounds } from './table.ts';

const planner = new Planner(bounds);

/** Throws internal when a field of the message, or of one within it, has no bound. */
export function requireBounds(schema: DescMessage): void {
  planner.planOf(schema);
}

/**
 * Decodes what somebody else sent. Its bounds are held against the wire before anything is made of it: half a million empty submessages fit into
 * a megabyte. Throws invalid_argument, which names the message, the field, what it holds and its bound. What this program does not know is dropped.
 */
export function decodeBounded<S extends DescMessage>(schema: S, wire: Uint8Array): MessageShape<S> {
  const plan = planner.planOf(schema);
  scan(plan, schema.typeName, wire, 0, wire.length);
  let message: MessageShape<S>;
  try {
    message = fromBinary(schema, wire, { readUnknownFields: false });
  } catch (cause) {
    throw unreadable(schema.typeName, cause);
  }
  if (plan.lawful) checkLaws(plan, message);
  return message;
}

/** Walks over one message on the wire, from byte to byte, and makes nothing of it. */
function scan(plan: MessagePlan, typeName: string, wire: Uint8Array, from: number, to: number): void {
  const seen = new Map<FieldPlan, number>();
  let at = from;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = at < to ? wire[at] : undefined;
      if (byte === undefined) throw unreadable(typeName, 'it ends within a number');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw unreadable(typeName, 'a number has more than 10 bytes');
  };
  /** Moves past so many bytes; returns where they began. */
  const skip = (count: number): number => {
    const begin = at;
    if (count > to - at) throw unreadable(typeName, 'it ends within a field');
    at += count;
    return begin;
  };
  while (at < to) {
    const tag = varint();
    if (tag > 0xffff_ffffn) throw unreadable(typeName, 'a field has no number');
    const wireType = Number(tag & 7n);
    const fieldPlan = plan.fields.get(Number(tag >> 3n));
    if (fieldPlan !== undefined) {
      const { most, path } = fieldPlan;
      if (wireType !== fieldPlan.wireType) throw unreadable(typeName, `${path} is of another type`);
      const count = (seen.get(fieldPlan) ?? 0) + 1;
      seen.set(fieldPlan, count);
      if (count > (most ?? 1))
        throw most === undefined
          ? refusal(`${path} is there twice: it is taken once`)
          : refusal(`${path} has ${count} entries or more: at most ${most} are taken`);
    }
    switch (wireType) {
      case 0: {
        const value = varint();
        if (fieldPlan !== undefined) checkNumber(fieldPlan, fieldPlan.signed ? BigInt.asIntN(64, value) : value);
        break;
      }
      case 1:
        skip(8);
        break;
      case 2: {
        const length = varint();
        const begin = skip(length > BigInt(to) ? to + 1 : Number(length));
        if (fieldPlan?.message !== undefined)
          scan(fieldPlan.message, fieldPlan.field.message?.typeName ?? '', wire, begin, at);
        else if (fieldPlan !== undefined) checkLength(fieldPlan, at - begin);
        break;
      }
      case 5: {
        const begin = skip(4);
        if (fieldPlan !== undefined) checkNumber(fieldPlan, fixed32(wire, begin));
        break;
      }
      default:
        throw unreadable(typeName, 'it holds a group');
    }
  }
}

function fixed32(wire: Uint8Array, at: number): bigint {
  return BigInt(new DataView(wire.buffer, wire.byteOffset + at, 4).getUint32(0, true));
}

function checkNumber({ bound, path }: FieldPlan, value: bigint): void {
  if (bound?.kind !== 'number' || (value >= bound.least && value <= bound.most)) return;
  throw refusal(`${path} is ${value}: ${bound.least} to ${bound.most} are taken`);
}

function checkLength({ bound, path }: FieldPlan, length: number): void {
  if (bound === undefined || bound.kind === 'number' || length <= bound.mostBytes) return;
  throw refusal(`${path} has ${length} bytes: at most ${bound.mostBytes} are taken`);
}

function checkLaws(plan: MessagePlan, message: object): void {
  const problem = plan.law?.(message as never);
  if (problem !== undefined)
    throw new Fault('invalid_argument', `${(message as { $typeName: string }).$typeName}.${problem}`);
  for (const { field, message: inner } of plan.fields.values()) {
    if (!inner?.lawful) continue;
    const own = message as Record<string, unknown>;
    const choice = field.oneof && (own[field.oneof.localName] as { case?: string; value?: unknown });
    const value =
      choice === undefined ? own[field.localName] : choice.case === field.localName ? choice.value : undefined;
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) checkLaws(inner, each as object);
  }
}

function refusal(what: string): Fault {
  return new Fault('invalid_argument', `${what}. Check the program that sent it.`);
}

function unreadable(typeName: string, cause: unknown): Fault {
  const why = typeof cause === 'string' ? cause : 'it is damaged';
  return new Fault('invalid_argument', `${typeName} cannot be read: ${why}`, { cause });
}
