type Schema = Readonly<Record<string, unknown>>;

/** What is wrong with a value by a JSON Schema, each with its place. Knows the keywords that ours uses; throws for any other. */
export function schemaErrors(schema: Schema, value: unknown, place = '$'): string[] {
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    const check = keywords[keyword];
    if (check === undefined) throw new Error(`the keyword ${keyword} is not known here`);
    return check(wanted, value, place, schema);
  });
}

type Check = (wanted: unknown, value: unknown, place: string, schema: Schema) => string[];

const say = (wrong: boolean, text: string): string[] => (wrong ? [text] : []);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const silent: Check = () => [];

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

const keywords: Record<string, Check> = {
  $schema: silent,
  $id: silent,
  title: silent,
  description: silent,
  type: (wanted, value, place) => say(typeOf(value) !== wanted, `${place} is ${typeOf(value)}, not ${String(wanted)}`),
  const: (wanted, value, place) => say(value !== wanted, `${place} is not ${String(wanted)}`),
  enum: (wanted, value, place) => say(!(wanted as unknown[]).includes(value), `${place} is none of ${String(wanted)}`),
  pattern: (wanted, value, place) =>
    say(!new RegExp(String(wanted), 'u').test(String(value)), `${place} does not match`),
  maxLength: (wanted, value, place) => say([...String(value)].length > Number(wanted), `${place} is too long`),
  minLength: (wanted, value, place) => say([...String(value)].length < Number(wanted), `${place} is too short`),
  minimum: (wanted, value, place) => say(Number(value) < Number(wanted), `${place} is too small`),
  minItems: (wanted, value, place) => say((value as unknown[]).length < Number(wanted), `${place} is too short`),
  required: (wanted, value, place) =>
    (wanted as string[]).flatMap((key) => say(isObject(value) && !(key in value), `${place}.${key} is missing`)),
  properties: (wanted, value, place) =>
    Object.entries(wanted as Record<string, Schema>).flatMap(([key, schema]) =>
      isObject(value) && key in value ? schemaErrors(schema, value[key], `${place}.${key}`) : [],
    ),
  additionalProperties: (wanted, value, place, { properties = {} }) =>
    Object.entries(isObject(value) ? value : {})
      .filter(([key]) => !(key in (properties as object)))
      .flatMap(([key, more]) =>
        wanted === false ? [`${place}.${key} is not known`] : schemaErrors(wanted as Schema, more, `${place}.${key}`),
      ),
  items: (wanted, value, place) =>
    (value as unknown[]).flatMap((item, index) => schemaErrors(wanted as Schema, item, `${place}[${index}]`)),
};
