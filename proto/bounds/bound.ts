/** How much one field may hold. What the descriptor says already is not repeated: a flag is one bit, a message has the bounds of its fields. */
export type Bound =
  /** UTF-8 bytes of a string. */
  | { readonly kind: 'text'; readonly mostBytes: number }
  | { readonly kind: 'bytes'; readonly mostBytes: number }
  /** Both ends inclusive. An enum too: it is open, since a newer agent may give a reason that this collector does not know. */
  | { readonly kind: 'number'; readonly least: bigint; readonly most: bigint }
  /** A repeated field; `of` is unset for messages. */
  | { readonly kind: 'list'; readonly most: number; readonly of?: Bound };

/** By the full name of a message, then by the name of its field as its .proto has it. */
export type Bounds = Readonly<Record<string, Readonly<Record<string, Bound>>>>;

export const text = (mostBytes: number): Bound => ({ kind: 'text', mostBytes });
export const bytes = (mostBytes: number): Bound => ({ kind: 'bytes', mostBytes });
export const number = (least: bigint, most: bigint): Bound => ({ kind: 'number', least, most });
export const list = (most: number, of?: Bound): Bound => ({ kind: 'list', most, ...(of && { of }) });
