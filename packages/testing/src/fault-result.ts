// fault-result.ts: how one source came through one fault, as data: for a test's verdict and for the table in the docs.

import type { Fault } from './fault.ts';

export type FaultProblemCode =
  /** An engaged switch was read released. */
  | 'lifted'
  /** A reading released the latch of a stop that nobody released. */
  | 'unlatched'
  /** A switch nobody engaged was read engaged. */
  | 'stopped-others'
  /** A reading was called live while health said that the data is old. */
  | 'live-while-stale'
  /** Nobody caught an exception or a rejection: it would have ended the process. */
  | 'crashed'
  /** A read threw, or answered what is no reading. */
  | 'malformed'
  /** The data was cut, and health stayed fresh. */
  | 'never-stale'
  /** The vendor had changed, the source did not see it, and said of itself that it was fresh. */
  | 'fresh-and-wrong'
  /** The fault was over, and the source did not come back. */
  | 'not-recovered'
  /** Fresh again, and a change from the time of the fault is still not seen. */
  | 'lost-change'
  /** After the fault a release at the vendor did not release. */
  | 'not-released';

export interface FaultProblem {
  readonly code: FaultProblemCode;
  readonly message: string;
}

export interface FaultResult {
  readonly fault: Fault;
  /** `cannot`: this vendor's protocol has no such fault, and `why` says so. */
  readonly outcome: 'held' | 'failed' | 'cannot';
  readonly why?: string;
  /** Each problem once, with what was first seen of it. */
  readonly problems: readonly FaultProblem[];
  /** What the engaged global switch read at the end of the fault, `engaged (cached)`, and what health said then. */
  readonly reads?: string;
  readonly health?: string;
}
