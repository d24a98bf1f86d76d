// messages.ts: what the first process and its workers say to each other over their channel. Sub-agents' work goes over HTTP.

import type { SessionView } from 'offswitch';
import type { Options } from '../options.ts';

/** How a worker is told what to do, as its one argument. */
export interface WorkerOptions {
  /** 2 for the first worker: the one that started it is 1. */
  readonly number: number;
  readonly options: Options;
  /** It tells of each change of state by a line. */
  readonly isTelling: boolean;
  /** How the `offswitch` command is called here. */
  readonly command: string;
}

export type ToWorker =
  /** Where sub-agents may be started now. */
  | { readonly type: 'doors'; readonly doors: readonly string[] }
  | { readonly type: 'views' }
  /** Come to rest, and stay: others still wait for answers. */
  | { readonly type: 'park' }
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'open'; readonly door: string }
  | { readonly type: 'line'; readonly line: string }
  | { readonly type: 'views'; readonly views: readonly SessionView[] }
  /** Sessions that did not come to rest in time. */
  | { readonly type: 'parked'; readonly left: readonly string[] };
