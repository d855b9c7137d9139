import { type DescMessage, type JsonValue, type MessageShape, toJson } from '@bufbuild/protobuf';
import { Document, isScalar, visit } from 'yaml';
import { hasUnseen, visibleJson } from './visible.ts';

/** A message by protobuf's JSON mapping, fields that are zero or empty included. */
export function documentOf<S extends DescMessage>(schema: S, message: MessageShape<S>): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** JSON text of a document; whatever a terminal could obey is escaped by JSON's own rules. */
export function jsonText(value: JsonValue): string {
  return `${visibleJson(JSON.stringify(value, undefined, 2))}\n`;
}

/** The same on one line. */
export function jsonLine(value: JsonValue): string {
  return `${visibleJson(JSON.stringify(value))}\n`;
}

/** YAML text of a document; whatever a terminal could obey is escaped in a double-quoted scalar. */
export function yamlText(value: JsonValue): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_key, node) => {
      // The library leaves C1, DEL, bidi and zero-width characters bare; only double quotes can hold their escapes.
      if (isScalar(node) && typeof node.value === 'string' && hasUnseen(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return visibleYaml(document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER }));
}

/** Every escape that visibleJson writes is also one of YAML, but for pairs of surrogates. */
function visibleYaml(yaml: string): string {
  return visibleJson(yaml).replace(
    /\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/g,
    (_pair, high: string, low: string) => {
      const code = 0x1_0000 + ((Number.parseInt(high, 16) - 0xd800) << 10) + (Number.parseInt(low, 16) - 0xdc00);
      return `\\U${code.toString(16).padStart(8, '0')}`;
    },
  );
}
