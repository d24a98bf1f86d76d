// redact.ts: what of the application's own data goes into a bundle. A bundle is read by more people, and kept longer, than the
// journal it is made from.

import { canonical, sha256 } from '../audit/canonical.ts';

/** Which piece of the application's data it is. */
export interface RedactedField {
  readonly session: string;
  readonly agent: string;
  readonly field: 'state' | 'input' | 'value' | 'error';
  /** Of a value or an error: the call's id and name. */
  readonly call?: { readonly id: string; readonly name: string };
}

/** What stands in the bundle in its place; `undefined` leaves it out. The value is a copy, and may be changed. */
export type Redact = (value: unknown, field: RedactedField) => unknown;

/** What stands in the place of a value that was taken out. */
export interface Redacted {
  /** SHA-256, hex, over its canonical JSON. */
  readonly sha256: string;
  /** Of that JSON, in UTF-8. */
  readonly bytes: number;
}

/**
 * The default: nothing of it but its digest, since only the application knows which of its fields may be shown. Whoever has the
 * original (the journal keeps it for the retention time) can prove that it is the one; whoever has not learns nothing, as long as
 * the value is not one of a few that can be tried.
 */
export function digestOnly(value: unknown): Redacted | undefined {
  if (value === undefined) return undefined;
  const text = canonical(value);
  return { sha256: sha256(text), bytes: Buffer.byteLength(text) };
}

/** The application's hook, outside of the decision: where it throws, or gives what is no data, the digest stands (I13). It gets a copy. */
export function guarded(redact: Redact | undefined): Redact {
  if (!redact) return digestOnly;
  return (value, field) => {
    if (value === undefined) return undefined;
    try {
      // A copy: a hook that takes fields out of what it is given must not take them from the session, which may go on with it.
      const text = JSON.stringify(redact(structuredClone(value), field)) as string | undefined;
      return text === undefined ? undefined : JSON.parse(text);
    } catch {
      return digestOnly(value);
    }
  };
}
