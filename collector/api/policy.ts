import { type DescMethod, getOption, ScalarType } from '@bufbuild/protobuf';
import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { access, Caller } from '@kcorder/proto/gen/kcorder/v1/access_pb.ts';
import { services } from '@kcorder/proto/services.ts';

/** Who may call a method. */
export type Rule =
  /** The certificate of a node. */
  | { readonly by: 'node' }
  /** Whoever comes: the handler checks a credential of its own. */
  | { readonly by: 'anyone' }
  /** Somebody who is known, whatever their rights. */
  | { readonly by: 'person' }
  /** The certificate of an operator, or somebody who has this right. */
  | {
      readonly by: 'right';
      readonly resource: string;
      readonly verb: string;
      readonly nameField?: string;
      /** Each call adds to the audit log, so one caller can make only so many. */
      readonly onRecord?: true;
      /** A flag of the request that needs another verb too. */
      readonly flag?: { readonly field: string; readonly verb: string };
    };

export type Right = Extract<Rule, { readonly by: 'right' }>;

const callers: ReadonlyMap<number, Rule> = new Map([
  [Caller.NODE, { by: 'node' }],
  [Caller.ANYONE, { by: 'anyone' }],
  [Caller.PERSON, { by: 'person' }],
]);

/** The rule of every method by its path, from the options in proto/kcorder/v1. A method without one can be called by nobody. */
export const policy: Readonly<Record<string, Rule>> = Object.fromEntries(
  services
    .flatMap(({ methods }): readonly DescMethod[] => methods)
    .flatMap((method) => {
      const rule = optionOf(method);
      return rule === undefined ? [] : [[pathOf(method), rule]];
    }),
);

/** Returns the rule in the method's access option, undefined if there is none. Throws internal when its name_field names no string field. */
export function optionOf(method: DescMethod): Rule | undefined {
  const { who } = getOption(method, access);
  if (who.case === 'caller') return callers.get(who.value);
  if (who.case === undefined) return undefined;
  const { resource, verb, nameField, onRecord, flagField, flagVerb } = who.value;
  return {
    by: 'right',
    resource,
    verb,
    ...(nameField === '' ? {} : { nameField: localNameOf(method, nameField) }),
    ...(onRecord ? { onRecord } : {}),
    ...(flagField === '' ? {} : { flag: { field: flagIn(method, flagField), verb: flagVerb } }),
  };
}

function localNameOf({ name, input, methodKind }: DescMethod, nameField: string): string {
  const field = input.fields.find((each) => each.name === nameField);
  // Rights are asked for before the first message of a caller that streams.
  const isStream = methodKind === 'client_streaming' || methodKind === 'bidi_streaming';
  if (isStream || field?.fieldKind !== 'scalar' || field.scalar !== ScalarType.STRING)
    throw new Fault('internal', `${name}: name_field ${nameField} is no string field of ${input.typeName}`);
  return field.localName;
}

function flagIn({ name, input, methodKind }: DescMethod, flagField: string): string {
  const field = input.fields.find((each) => each.name === flagField);
  const isStream = methodKind === 'client_streaming' || methodKind === 'bidi_streaming';
  if (isStream || field?.fieldKind !== 'scalar' || field.scalar !== ScalarType.BOOL)
    throw new Fault('internal', `${name}: flag_field ${flagField} is no bool field of ${input.typeName}`);
  return field.localName;
}

/** Health and reflection: for a known caller, node or person. Probes have their own port. */
const standardMethods: ReadonlySet<string> = new Set([
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/List',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
]);

/** Undefined: nobody may call it. */
export const ruleOf = (path: string): Rule | { readonly by: 'known' } | undefined =>
  standardMethods.has(path) ? { by: 'known' } : policy[path];
