// feed.ts: where flags come from: our own polling, or a client that the application already has.

import type { FlagData } from './flag-data.ts';

export interface FeedListener {
  /** Flags arrived, asked for at `sentAt` (monotonic milliseconds). False: they are older than what was seen, and were not taken. */
  data(data: FlagData, sentAt: number): boolean;
  /** Unleash says that nothing changed since the last data, taken or not. */
  same(sentAt: number): void;
  /** No answer, or none that can be believed; definite where waiting does not help. */
  fault(why: string, isDefinite: boolean): void;
}

export interface Feed {
  /** Begins; settles after the first answer or failure. Never rejects. */
  start(): Promise<void>;
  /** Asks now. Never rejects. */
  refresh(): Promise<void>;
  /** Leaves no timer, request or listener. */
  close(): Promise<void>;
}
