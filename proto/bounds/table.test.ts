import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { isBoundedAnswer } from '../bridge/definition.ts';
import { AgentService } from '../gen/kcorder/v1/agent_pb.ts';
import { EnrolmentService } from '../gen/kcorder/v1/enrolment_pb.ts';
import { IngestService } from '../gen/kcorder/v1/ingest_pb.ts';
import { services } from '../services.ts';
import type { Bounds } from './bound.ts';
import { Planner } from './plan.ts';
import { bounds } from './table.ts';

const methods = services.flatMap((service) => service.methods);
const bounded = [
  ...methods.map(({ input }) => input),
  ...methods.map(({ output }) => output).filter((output) => isBoundedAnswer(output)),
];

/** A message and all within it. */
function within(message: DescMessage, seen = new Map<string, DescMessage>()): Map<string, DescMessage> {
  if (seen.has(message.typeName)) return seen;
  seen.set(message.typeName, message);
  for (const { message: inner } of message.fields) if (inner !== undefined) within(inner, seen);
  return seen;
}

const all = new Map(bounded.flatMap((message) => [...within(message)]));
/** Fields that the descriptor bounds by itself: a flag, and a message that is there once, whose fields have their own. */
const isPlain = ({ fieldKind, scalar }: DescField) =>
  fieldKind === 'message' || (fieldKind === 'scalar' && scalar === 8);
const toBound = [...all.values()].flatMap(({ typeName, fields }) =>
  fields.filter((field) => !isPlain(field)).map((field) => ({ typeName, name: field.name })),
);

test.each(methods.map(({ parent, name, input }) => ({ call: `${parent.typeName}/${name}`, input })))(
  'each field of the request of $call has a bound, and so has each within it',
  ({ input }) => {
    new Planner(bounds).planOf(input);
  },
);

test.each(
  bounded.filter((message) => isBoundedAnswer(message)).map((message) => ({ name: message.typeName, message })),
)('each field of $name, which agents are sent, has a bound', ({ message }) => {
  new Planner(bounds).planOf(message);
});

test('what agents are sent is bounded, all of it', () => {
  const toAgents = [...AgentService.methods, ...IngestService.methods, EnrolmentService.method.enrol];
  expect(toAgents.filter(({ output }) => !isBoundedAnswer(output))).toEqual([]);
});

test.each(toBound)('without the bound of $typeName.$name nothing that holds it is decoded', ({ typeName, name }) => {
  const { [name]: taken, ...others } = bounds[typeName] ?? {};
  expect(taken).toBeDefined();
  const holed: Bounds = { ...bounds, [typeName]: others };
  const roots = bounded.filter((message) => within(message).has(typeName));
  for (const root of roots)
    expect(() => new Planner(holed).planOf(root)).toThrow(`${typeName}.${name} has no bound: give it one`);
});

test('the table holds nothing that is not in the contract', () => {
  const known = new Set(toBound.map(({ typeName, name }) => `${typeName}.${name}`));
  const given = Object.entries(bounds).flatMap(([typeName, fields]) =>
    Object.keys(fields).map((name) => `${typeName}.${name}`),
  );
  expect(given.filter((path) => !known.has(path))).toEqual([]);
});
