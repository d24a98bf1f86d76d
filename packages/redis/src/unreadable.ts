// unreadable.ts: what stands in Redis and is not as this package writes it. It is said so by the name of its key, and left out (a stop: held): one value that a
// hand has spoiled keeps no stop and no credential from being heard of (I13).

/** `undefined` for what is no JSON, or not of that shape. */
export function parsed<T>(text: string, isOne: (value: Readonly<Record<string, unknown>>) => boolean): T | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && isOne(value as Readonly<Record<string, unknown>>)
      ? (value as T)
      : undefined;
  } catch {
    return undefined;
  }
}

export class Unreadable {
  /** By key: its fields that could not be read when they were read last. */
  private readonly fields = new Map<string, readonly string[]>();
  private readonly onChange: () => void;

  constructor(onChange: () => void) {
    this.onChange = onChange;
  }

  get why(): string | undefined {
    if (this.fields.size === 0) return undefined;
    const places = [...this.fields].map(([key, fields]) => {
      const some = fields.filter((one) => one !== '').slice(0, 3);
      return some.length === 0 ? key : `${key} (${some.map((one) => JSON.stringify(one)).join(', ')})`;
    });
    return `what stands in ${places.slice(0, 10).join(', ')} cannot be read; remove it`;
  }

  /** Those of a key's values that can be read. `values`: by field; a key without fields has one, ''. */
  readable<T>(
    key: string,
    values: Iterable<readonly [field: string, text: string]>,
    isOne: (value: Readonly<Record<string, unknown>>) => boolean,
  ): T[] {
    const found: T[] = [];
    const left: string[] = [];
    for (const [field, text] of values) {
      const one = parsed<T>(text, isOne);
      if (one === undefined) left.push(field);
      else found.push(one);
    }
    this.note(key, left);
    return found;
  }

  /** Those of a key's fields that cannot be read; none: all can. */
  note(key: string, fields: readonly string[]): void {
    const before = this.why;
    if (fields.length > 0) this.fields.set(key, fields);
    else this.fields.delete(key);
    if (this.why !== before) this.onChange();
  }
}
