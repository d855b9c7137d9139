import * as v from 'valibot';

/** Something wrong, and where: "cron", "target.nodeLabels", "webhooks[0].url"; "" is the whole. */
export interface Problem {
  readonly place: string;
  readonly what: string;
}

export type Checked<Value> =
  | { readonly kind: 'good'; readonly value: Value }
  | { readonly kind: 'bad'; readonly problems: Problem[] };

/**
 * Returns the value as the schema makes it, or all problems, those of the shape before those of values. A problem is
 * worded by the schema's message: it shows nothing of the value unless that does.
 */
export function check<S extends v.GenericSchema>(schema: S, value: unknown): Checked<v.InferOutput<S>> {
  const checked = v.safeParse(schema, value, { message: 'is wrong' });
  if (checked.success) return { kind: 'good', value: checked.output };
  const rank = ({ kind, expected }: v.BaseIssue<unknown>): number =>
    kind === 'schema' || expected === 'never' ? 0 : 1;
  const issues = checked.issues.toSorted((a, b) => rank(a) - rank(b));
  return { kind: 'bad', problems: issues.map((issue) => ({ place: placeOf(issue), what: issue.message })) };
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * An object of these keys and no others. A missing key is read as undefined. An unknown key has a problem of its own;
 * if it may not be shown, the problem is at the object.
 */
export function exactly<const E extends v.ObjectEntries>(entries: E, mayShow: (key: string) => boolean = () => true) {
  const missing = Object.fromEntries(Object.keys(entries).map((key) => [key, undefined]));
  // strictObject of the library ends at the first unknown key.
  const refuseUnknown = (input: Record<string, unknown>) =>
    v.rawCheck<v.InferOutput<v.ObjectSchema<E, undefined>>>(({ addIssue }) => {
      for (const key of Object.keys(input).filter((each) => !Object.hasOwn(entries, each))) {
        const item = { type: 'object', origin: 'key', input, key, value: input[key] } as const;
        if (mayShow(key)) addIssue({ message: 'is unknown', expected: 'never', path: [item] });
        else addIssue({ message: 'has an unknown key', expected: 'never' });
      }
    });
  return v.lazy((input) =>
    v.pipe(
      v.custom<v.InferInput<v.ObjectSchema<E, undefined>>>(isObject, 'is not an object'),
      v.transform((object) => ({ ...missing, ...object })),
      v.object(entries),
      refuseUnknown(isObject(input) ? input : {}),
    ),
  );
}

/** A check that words its problem; undefined: there is none. */
export const finds = <T>(problem: (value: T) => string | undefined) =>
  v.rawCheck<T>(({ dataset, addIssue }) => {
    const message = dataset.typed ? problem(dataset.value) : undefined;
    if (message !== undefined) addIssue({ message });
  });

function placeOf({ path }: v.BaseIssue<unknown>): string {
  const place = (path ?? []).map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return place.replace(/^\./, '');
}
