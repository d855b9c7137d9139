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

/** Fields that this program does not know, in one message: a newer sender has a few more. */
const mostUnknown = 64;

/** Walks over one message on the wire, from byte to byte, and makes nothing of it. */
function scan(plan: MessagePlan, typeName: string, wire: Uint8Array, from: number, to: number): void {
  const seen = new Map<FieldPlan, number>();
  let [at, unknown] = [from, 0];
  /** Moves past a number; returns where it began. */
  const skipVarint = (): number => {
    const begin = at;
    while (true) {
      const byte = at < to ? wire[at] : undefined;
      if (byte === undefined) throw unreadable(typeName, 'it ends within a number');
      at += 1;
      if (byte < 0x80) return begin;
      if (at - begin === 10) throw unreadable(typeName, 'a number has more than 10 bytes');
    }
  };
  /** A tag or length, without the cost of large numbers; Infinity stands for all that no message can have. */
  const small = (): number => {
    const begin = skipVarint();
    let value = 0;
    for (let index = at - 1; index >= begin; index -= 1) value = value * 128 + ((wire[index] ?? 0) & 0x7f);
    return value > 0xffff_ffff ? Number.POSITIVE_INFINITY : value;
  };
  const large = (): bigint => {
    const begin = skipVarint();
    let value = 0n;
    for (let index = at - 1; index >= begin; index -= 1) value = (value << 7n) | BigInt((wire[index] ?? 0) & 0x7f);
    return BigInt.asUintN(64, value);
  };
  /** Moves past so many bytes; returns where they began. */
  const skip = (count: number): number => {
    const begin = at;
    if (count > to - at) throw unreadable(typeName, 'it ends within a field');
    at += count;
    return begin;
  };
  while (at < to) {
    const tag = small();
    if (tag === Number.POSITIVE_INFINITY) throw unreadable(typeName, 'a field has no number');
    const wireType = tag % 8;
    const fieldPlan = plan.fields.get(Math.floor(tag / 8));
    if (fieldPlan === undefined) {
      unknown += 1;
      if (unknown > mostUnknown)
        throw refusal(`${typeName} has more than ${mostUnknown} fields that this program does not know`);
    } else {
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
        if (fieldPlan === undefined) skipVarint();
        else {
          const value = large();
          checkNumber(fieldPlan, fieldPlan.signed ? BigInt.asIntN(64, value) : value);
        }
        break;
      }
      case 1:
        skip(8);
        break;
      case 2: {
        const begin = skip(small());
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
