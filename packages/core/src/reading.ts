// reading.ts: what a source says of one switch for one subject, and where in its history that was.
//
// A union, so that "could not tell" can never be mistaken for "not engaged" (S5).

/**
 * Where in the vendor's stored history a reading was taken (S3). Positions compare within one series only.
 */
export interface Position {
  /** Names vendor, project and environment (or host and file). Configured, else a hash of where the source reads from. */
  readonly series: string;
  /** Grows with every change the vendor stores, never shrinks. A non-negative safe integer; absent where the source has none, and then release is an act. */
  readonly n?: number;
  /**
   * Names one unbroken watch of this process over the source: two readings with the same `watch` had no gap between them.
   * Present only where a release at an equal `n` may count because the process itself saw the change (a flag file edited by hand).
   */
  readonly watch?: number;
}

/** Read from the vendor's data as it is now, or from what was kept of it. A cached reading may stop, and may permit, but never releases (S3). */
export type Origin = 'live' | 'cached';

export type UnknownCause =
  /** The source has not had its first data yet. */
  | 'not-ready'
  /** The vendor has no such flag (or hides that it is off: the two look alike). */
  | 'not-found'
  /** The flag exists and its value is not of the type a switch has. */
  | 'wrong-type'
  /** A scoped switch is engaged for everybody: somebody turned the whole flag on (S11). */
  | 'untargeted'
  /** Data too old to be believed, by our own clock. */
  | 'stale'
  /** The read failed; `message` says how. */
  | 'error';

export type Reading =
  | {
      readonly state: 'engaged';
      readonly origin: Origin;
      readonly position: Position;
      readonly reason?: string;
      readonly by?: string;
    }
  | { readonly state: 'released'; readonly origin: Origin; readonly position: Position }
  | { readonly state: 'unknown'; readonly cause: UnknownCause; readonly message: string };

export function unknown(cause: UnknownCause, message: string): Reading {
  return { state: 'unknown', cause, message };
}

const causes: ReadonlySet<string> = new Set<UnknownCause>([
  'not-ready',
  'not-found',
  'wrong-type',
  'untargeted',
  'stale',
  'error',
]);

/** What a source of somebody else's making returned, as a reading: anything malformed is `unknown`, never a release (I13). */
export function checkReading(value: unknown): Reading {
  if (typeof value !== 'object' || value === null)
    return unknown('error', `the source answered ${describe(value)} instead of a reading`);
  const reading = value as Partial<Record<string, unknown>>;
  if (reading.state === 'unknown') {
    const cause = typeof reading.cause === 'string' && causes.has(reading.cause) ? (reading.cause as UnknownCause) : 'error';
    return unknown(cause, typeof reading.message === 'string' ? reading.message : 'the source gave no message');
  }
  if (reading.state !== 'engaged' && reading.state !== 'released')
    return unknown('error', `the source answered state ${describe(reading.state)}`);
  if (reading.origin !== 'live' && reading.origin !== 'cached')
    return unknown('error', `the source answered origin ${describe(reading.origin)}`);
  const position = reading.position as Partial<Position> | undefined;
  if (typeof position !== 'object' || position === null || typeof position.series !== 'string' || position.series === '') {
    return unknown('error', 'the source answered a reading without a series');
  }
  if (position.n !== undefined && !(Number.isSafeInteger(position.n) && position.n >= 0)) {
    return unknown('error', `the source answered position ${describe(position.n)}, which is no safe non-negative integer`);
  }
  return value as Reading;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : value === null ? 'null' : typeof value;
}
