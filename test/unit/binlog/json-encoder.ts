/**
 * An encoder of MySQL's binary JSON for tests, written from the format's description and not from our decoder: it lays
 * out documents back to front, with small or large containers as asked.
 */
import { doubleText, quoteJson } from '../../../src/binlog/json-text.ts';

export type JsonNode =
  | { readonly kind: 'literal'; readonly value: null | boolean }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'opaque'; readonly type: number; readonly bytes: Buffer }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, JsonNode])[] };

export type ContainerSize = 'small' | 'large';

export const int = (value: bigint): JsonNode => ({ kind: 'int', value });
export const real = (value: number): JsonNode => ({ kind: 'real', value });

/** The whole document: type byte and value. */
export function encodeJson(node: JsonNode, size: ContainerSize): Buffer {
  const { type, bytes } = encodeValue(node, size);
  return Buffer.concat([Buffer.from([type]), bytes]);
}

/** What the document must print as. */
export function nodeText(node: JsonNode): string {
  switch (node.kind) {
    case 'literal':
    case 'int':
      return String(node.value);
    case 'real':
      return doubleText(node.value);
    case 'string':
      return quoteJson(node.text);
    case 'opaque': {
      const lines = node.bytes.toString('base64').match(/.{1,76}/g) ?? [];
      return quoteJson(`base64:type${node.type}:${lines.join('\n')}`);
    }
    case 'array':
      return `[${node.items.map(nodeText).join(', ')}]`;
    case 'object':
      return `{${node.members.map(([key, value]) => `${quoteJson(key)}: ${nodeText(value)}`).join(', ')}}`;
  }
}

interface Encoded {
  readonly type: number;
  readonly bytes: Buffer;
}

function encodeValue(node: JsonNode, size: ContainerSize): Encoded {
  switch (node.kind) {
    case 'literal':
      return { type: 0x04, bytes: Buffer.from([node.value === null ? 0 : node.value ? 1 : 2]) };
    case 'int':
      return encodeInt(node.value);
    case 'real': {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(node.value);
      return { type: 0x0b, bytes };
    }
    case 'string':
      return { type: 0x0c, bytes: withLength(Buffer.from(node.text)) };
    case 'opaque':
      return { type: 0x0f, bytes: Buffer.concat([Buffer.from([node.type]), withLength(node.bytes)]) };
    case 'array':
      return encodeContainer(size, null, node.items);
    case 'object':
      return encodeContainer(
        size,
        node.members.map(([key]) => Buffer.from(key)),
        node.members.map(([, value]) => value),
      );
  }
}

function encodeInt(value: bigint): Encoded {
  const bytes = Buffer.alloc(8);
  if (value < 0n) bytes.writeBigInt64LE(value);
  else bytes.writeBigUInt64LE(value);
  if (value >= -0x8000n && value < 0x8000n) return { type: 0x05, bytes: bytes.subarray(0, 2) };
  if (value >= 0n && value < 0x1_0000n) return { type: 0x06, bytes: bytes.subarray(0, 2) };
  if (value >= -0x8000_0000n && value < 0x8000_0000n) return { type: 0x07, bytes: bytes.subarray(0, 4) };
  if (value >= 0n && value < 0x1_0000_0000n) return { type: 0x08, bytes: bytes.subarray(0, 4) };
  return { type: value < 1n << 63n ? 0x09 : 0x0a, bytes };
}

function encodeContainer(size: ContainerSize, keys: Buffer[] | null, values: readonly JsonNode[]): Encoded {
  const width = size === 'small' ? 2 : 4;
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(width);
    bytes.writeUIntLE(value, 0, width);
    return bytes;
  };
  let offset = 2 * width + values.length * (1 + width) + (keys === null ? 0 : keys.length * (width + 2));
  const keyEntries: Buffer[] = [];
  for (const key of keys ?? []) {
    const length = Buffer.alloc(2);
    length.writeUInt16LE(key.length);
    keyEntries.push(number(offset), length);
    offset += key.length;
  }
  const valueEntries: Buffer[] = [];
  const data: Buffer[] = [];
  for (const value of values) {
    const { type, bytes } = encodeValue(value, size);
    valueEntries.push(Buffer.from([type]));
    const inline =
      type === 0x04 || type === 0x05 || type === 0x06 || (width === 4 && (type === 7 || type === 8));
    if (inline) {
      valueEntries.push(Buffer.concat([bytes, Buffer.alloc(width - bytes.length)]));
      continue;
    }
    valueEntries.push(number(offset));
    data.push(bytes);
    offset += bytes.length;
  }
  const bytes = Buffer.concat([
    number(values.length),
    number(offset),
    ...keyEntries,
    ...valueEntries,
    ...(keys ?? []),
    ...data,
  ]);
  return { type: (keys === null ? 2 : 0) + (size === 'small' ? 0 : 1), bytes };
}

function withLength(bytes: Buffer): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(length), bytes]);
}
