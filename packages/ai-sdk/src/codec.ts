// codec.ts: values of the AI SDK as JSON and back: dates, bytes, URLs and errors in replies and tool results must survive
// the journal, or a resumed agent would see another answer than the one it was given.

const tag = '$offswitch';

/** Throws a TypeError for what is circular; functions and symbols are left out, as JSON leaves them out. */
export function encode(value: unknown): unknown {
  return encodeIn(value, []);
}

function encodeIn(value: unknown, path: readonly object[]): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : { [tag]: 'number', value: String(value) };
    case 'bigint':
      return { [tag]: 'bigint', value: String(value) };
    case 'function':
    case 'symbol':
      return undefined;
    case 'object':
      return value === null ? null : encodeObject(value, path);
  }
}

function encodeObject(value: object, path: readonly object[]): unknown {
  if (value instanceof Date) return { [tag]: 'date', value: value.getTime() };
  if (value instanceof URL) return { [tag]: 'url', value: value.href };
  if (Buffer.isBuffer(value)) return { [tag]: 'buffer', value: value.toString('base64') };
  const bytes = bytesOf(value);
  if (bytes) return { [tag]: 'bytes', value: toBase64(bytes) };
  if (value instanceof Error) return { [tag]: 'error', name: value.name, message: value.message };
  if (path.includes(value)) throw new TypeError('a circular structure cannot be kept');
  const deeper = [...path, value];
  if (Array.isArray(value)) return value.map((one) => encodeIn(one, deeper) ?? null);
  if ('toJSON' in value && typeof value.toJSON === 'function') return encodeIn(value.toJSON(), deeper);
  const entries = Object.entries(value).map(([key, one]) => [key, encodeIn(one, deeper)] as const);
  const plain = Object.fromEntries(entries.filter(([, one]) => one !== undefined));
  return tag in plain ? { [tag]: 'plain', value: Object.entries(plain) } : plain;
}

export function decode(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  const record = value as Readonly<Record<string, unknown>>;
  switch (record[tag]) {
    case 'date':
      return new Date(record.value as number);
    case 'url':
      return new URL(record.value as string);
    case 'bytes':
      return new Uint8Array(Buffer.from(record.value as string, 'base64'));
    case 'buffer':
      return Buffer.from(record.value as string, 'base64');
    case 'number':
      return Number(record.value);
    case 'bigint':
      return BigInt(record.value as string);
    case 'error':
      return Object.assign(new Error(record.message as string), { name: record.name });
    case 'plain':
      return Object.fromEntries((record.value as [string, unknown][]).map(([key, one]) => [key, decode(one)]));
  }
  return Object.fromEntries(Object.entries(record).map(([key, one]) => [key, decode(one)]));
}

function bytesOf(value: object): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
