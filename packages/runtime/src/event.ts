// event.ts: what a runtime tells its listeners. They are outside the decision: none can change it by throwing (I13).

import type { Decision, Stop } from '@offswitch/core';
import type { Alarm } from './kernel.ts';
import type { Stage } from './receipt.ts';

export type RuntimeEvent =
  /** A session was born, moved to another state or turn, or ended; look at it with `runtime.session(id)`. */
  | { readonly type: 'session'; readonly session: string }
  /** A stop was engaged or released. */
  | { readonly type: 'stop'; readonly stop: Stop; readonly engaged: boolean }
  /** A stage of a stop became true: `recorded` and `fenced` of all processes, the others of the sessions of this one. The receipt says it of all. */
  | { readonly type: 'stage'; readonly stop: string; readonly stage: Stage }
  /** A breaker's threshold was passed. `tripped: false`: it is not declared, so it only reports. */
  | {
      readonly type: 'breaker';
      readonly session: string;
      readonly breaker: string;
      readonly value: number;
      readonly limit: number;
      readonly tripped: boolean;
    }
  | { readonly type: 'decision'; readonly session: string; readonly decision: Decision }
  /** A path from another process was refused; `code` is the error's. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  | ({ readonly type: 'alarm' } & Alarm);

export type RuntimeListener = (event: RuntimeEvent) => void;
