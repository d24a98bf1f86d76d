// finding.ts: one fault in a flag file, with the place and the way out.

/** Stable names of faults. A pin: tools match on them. */
export type LintCode =
  // The whole file: nothing in it can be read.
  | 'empty-file'
  | 'half-written'
  | 'not-json'
  | 'comment'
  | 'wrong-root'
  | 'missing-flags'
  | 'bad-revision'
  | 'too-large'
  | 'missing'
  | 'unreadable'
  // Anywhere.
  | 'duplicate-key'
  | 'unknown-member'
  | 'empty-flags'
  | 'bad-metadata'
  // One flag.
  | 'missing-switch'
  | 'bad-flag'
  | 'bad-state'
  | 'disabled'
  | 'missing-variants'
  | 'mixed-types'
  | 'wrong-type'
  | 'one-sided'
  | 'inverted-polarity'
  | 'missing-default'
  | 'missing-variant'
  | 'bad-rule'
  /** A user or session switch that stops a share of everybody instead of naming ids (S11). */
  | 'untargeted'
  | 'unknown-operator'
  | 'unknown-reference'
  | 'unknown-variable'
  | 'substring-in'
  | 'non-string-id';

export interface LintFinding {
  readonly code: LintCode;
  /** `error`: what it is about does not work. `warning`: it may surprise. */
  readonly severity: 'error' | 'warning';
  /** What is wrong and what to do. */
  readonly message: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
  /** The flag it is confined to; absent when it is about the file. */
  readonly flag?: string;
}

/** `switches.flagd.json:3:7: message`: the form editors and terminals make clickable. */
export function showFinding(path: string, finding: LintFinding): string {
  return `${path}:${finding.line}:${finding.column}: ${finding.message} [${finding.code}]`;
}
