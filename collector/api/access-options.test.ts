import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  create,
  type DescMethod,
  type DescService,
  getOption,
  type MessageInitShape,
  ScalarType,
  setExtension,
} from '@bufbuild/protobuf';
import { MethodDescriptorProtoSchema, MethodOptionsSchema } from '@bufbuild/protobuf/wkt';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import { AccessSchema, access, Caller } from '@kcorder/proto/gen/kcorder/v1/access_pb.ts';
import { AgentService } from '@kcorder/proto/gen/kcorder/v1/agent_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { admin, roles } from '@kcorder/proto/rights/roles.ts';
import { services } from '@kcorder/proto/services.ts';
import { describe, expect, test } from 'vitest';
import { optionOf, policy, type Right } from './policy.ts';

const generated = join(import.meta.dirname, '../../proto/gen/kcorder/v1');
const isService = (value: unknown): value is DescService =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'service';
const modules: readonly object[] = await Promise.all(
  readdirSync(generated).map((name): Promise<object> => import(join(generated, name))),
);
/** As the files of the contract have them, not as our list of services does. */
const everyService = modules.flatMap((module) => Object.values(module).filter(isService));
const everyMethod = everyService.flatMap(({ methods }) => methods).map((method) => ({ path: pathOf(method), method }));

test('the list of services is complete', () => {
  const names = (all: readonly DescService[]) => all.map(({ typeName }) => typeName).sort();
  expect(names(services)).toEqual(names(everyService));
});

test.each(everyMethod)('$path says who may call it, and by which field of its request', ({ path, method }) => {
  const { who } = getOption(method, access);
  expect(who.case).toBeDefined();
  if (who.case === 'caller') expect([Caller.NODE, Caller.ANYONE, Caller.PERSON]).toContain(who.value);
  if (who.case === 'right') {
    expect(who.value.resource).toMatch(/^[a-z]+$/);
    expect(who.value.verb).toMatch(/^[a-z]+$/);
    const field = method.input.fields.find(({ name }) => name === who.value.nameField);
    if (who.value.nameField !== '') expect(field).toMatchObject({ fieldKind: 'scalar', scalar: ScalarType.STRING });
    const flag = method.input.fields.find(({ name }) => name === who.value.flagField);
    if (who.value.flagField !== '') expect(flag).toMatchObject({ fieldKind: 'scalar', scalar: ScalarType.BOOL });
    expect(who.value.flagVerb).toMatch(who.value.flagField === '' ? /^$/ : /^[a-z]+$/);
  }
  expect(policy[path]).toEqual(optionOf(method));
});

describe('an option that cannot be', () => {
  const { getCapture, listCaptures } = OperatorService.method;
  const { attach } = AgentService.method;
  const withOption = (method: DescMethod, who?: MessageInitShape<typeof AccessSchema>['who']): DescMethod => {
    const options = create(MethodOptionsSchema);
    if (who !== undefined) setExtension(options, access, create(AccessSchema, { who }));
    return { ...method, proto: create(MethodDescriptorProtoSchema, { options }) };
  };
  const named = (nameField: string) =>
    ({ case: 'right', value: { resource: 'captures', verb: 'get', nameField } }) as const;

  test('without one, or with a caller that is not known, nobody may call', () => {
    expect(optionOf(withOption(getCapture))).toBeUndefined();
    expect(optionOf({ ...getCapture, proto: create(MethodDescriptorProtoSchema) })).toBeUndefined();
    for (const value of [Caller.UNSPECIFIED, 99 as Caller])
      expect(optionOf(withOption(getCapture, { case: 'caller', value }))).toBeUndefined();
  });

  test('a name is that of a string field in the one request', () => {
    expect(optionOf(withOption(getCapture, named('capture_id')))).toMatchObject({ nameField: 'captureId' });
    const wrong = [
      [getCapture, 'node_name'],
      [getCapture, 'captureId'],
      [listCaptures, 'page_size'],
      [attach, 'hello'],
    ] as const;
    for (const [method, field] of wrong)
      expect(() => optionOf(withOption(method, named(field)))).toThrow(`name_field ${field} is no string field of`);
  });

  test('a flag is a bool field of the one request', () => {
    const { getAnalysis } = OperatorService.method;
    const flagged = (flagField: string) =>
      ({ case: 'right', value: { resource: 'analyses', verb: 'get', flagField, flagVerb: 'unmask' } }) as const;
    const flag = { field: 'unmask', verb: 'unmask' };
    expect(optionOf(withOption(getAnalysis, flagged('unmask')))).toMatchObject({ flag });
    for (const [method, field] of [
      [getAnalysis, 'capture_id'],
      [getAnalysis, 'nope'],
      [attach, 'hello'],
    ] as const)
      expect(() => optionOf(withOption(method, flagged(field)))).toThrow(`flag_field ${field} is no bool field of`);
  });
});

test('admin has every right that a call asks for, and no role has another', () => {
  const verbsOf = ({ verb, flag }: Right) => (flag === undefined ? [verb] : [verb, flag.verb]);
  const asked = Object.values(policy).flatMap((rule) =>
    rule.by === 'right' ? verbsOf(rule).map((verb) => `${rule.resource} ${verb}`) : [],
  );
  const rights = (of: typeof admin) =>
    of.rules.flatMap(({ resource, verbs }) => verbs.map((verb) => `${resource} ${verb}`));
  expect(new Set(rights(admin))).toEqual(new Set(asked));
  for (const role of roles) expect(asked).toEqual(expect.arrayContaining(rights(role)));
});
