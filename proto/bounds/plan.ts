import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { Fault } from '../fault.ts';
import { type Bound, type Bounds, number } from './bound.ts';
import { laws } from './laws.ts';

/** Instructions for the scan of a message, by field number. */
export interface MessagePlan {
  readonly fields: ReadonlyMap<number, FieldPlan>;
  /** Holds between its values, once it is decoded. */
  readonly law: ((message: never) => string | undefined) | undefined;
  /** True when a law holds for it, or for a message within it. */
  lawful: boolean;
}

/** Instructions for the scan of a field. */
export interface FieldPlan {
  readonly field: DescField;
  /** message.field, both as their .proto has them. */
  readonly path: string;
  readonly wireType: 0 | 2 | 5;
  /** Undefined: once at most. */
  readonly most: number | undefined;
  readonly bound: Exclude<Bound, { kind: 'list' }> | undefined;
  /** Of varints only: how 64 bits are read. */
  readonly signed: boolean;
  readonly message: MessagePlan | undefined;
}

const flag = number(0n, 1n);

/**
 * Makes plans by a table of bounds, each once. A field that has no bound, or a kind that no message of ours had so far, throws internal: nothing
 * may be decoded without one.
 */
export class Planner {
  readonly #bounds: Bounds;
  readonly #plans = new Map<string, MessagePlan>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  planOf(message: DescMessage): MessagePlan {
    const known = this.#plans.get(message.typeName);
    if (known !== undefined) return known;
    const fields = new Map<number, FieldPlan>();
    const law = laws[message.typeName];
    const plan = { fields, law, lawful: law !== undefined };
    this.#plans.set(message.typeName, plan);
    for (const field of message.fields) {
      const fieldPlan = this.#fieldOf(message, field);
      fields.set(field.number, fieldPlan);
      if (fieldPlan.message?.lawful) plan.lawful = true;
    }
    return plan;
  }

  #fieldOf(parent: DescMessage, field: DescField): FieldPlan {
    const path = `${parent.typeName}.${field.name}`;
    const unbounded = (): Fault => new Fault('internal', `${path} has no bound: give it one in proto/bounds/table.ts`);
    const given = this.#bounds[parent.typeName]?.[field.name];
    const isList = field.fieldKind === 'list';
    if (field.fieldKind === 'map' || isList !== (given?.kind === 'list')) throw unbounded();
    const most = given?.kind === 'list' ? given.most : undefined;
    const single = given?.kind === 'list' ? given.of : given;
    if (single?.kind === 'list') throw unbounded();
    const kind = isList ? field.listKind : field.fieldKind;
    if (kind === 'message') {
      const { message } = field;
      if (message === undefined || single !== undefined || field.delimitedEncoding) throw unbounded();
      return { field, path, wireType: 2, most, bound: undefined, signed: false, message: this.planOf(message) };
    }
    const { wireType, wants, signed } = shapeOf(kind === 'enum' ? ScalarType.INT32 : field.scalar, unbounded);
    const bound = field.scalar === ScalarType.BOOL ? flag : single;
    // A list of numbers may come packed, which the scan does not read.
    if (bound?.kind !== wants || (isList && wants === 'number')) throw unbounded();
    return { field, path, wireType, most, bound, signed, message: undefined };
  }
}

function shapeOf(
  scalar: ScalarType | undefined,
  unknown: () => Fault,
): { wireType: 0 | 2 | 5; wants: 'text' | 'bytes' | 'number'; signed: boolean } {
  switch (scalar) {
    case ScalarType.STRING:
      return { wireType: 2, wants: 'text', signed: false };
    case ScalarType.BYTES:
      return { wireType: 2, wants: 'bytes', signed: false };
    case ScalarType.BOOL:
    case ScalarType.UINT32:
    case ScalarType.UINT64:
      return { wireType: 0, wants: 'number', signed: false };
    case ScalarType.INT32:
    case ScalarType.INT64:
      return { wireType: 0, wants: 'number', signed: true };
    case ScalarType.FIXED32:
      return { wireType: 5, wants: 'number', signed: false };
    default:
      throw unknown();
  }
}
